"""Notes: short texts that people write down."""

from pathlib import Path

from app.features import Feature
from notes.errors import TooManyNotes
from notes.export import NOTES
from notes.models import Note
from notes.names import NOTE_DELETED, NOTES_READ, OWN_NOTES
from notes.routes import bp
from notes.settings import NotesSettings

FEATURE = Feature(
    name="notes",
    requires=">=0.2,<1",
    blueprints=[bp],
    models=[Note],
    migrations=Path(__file__).parent / "migrations",
    exported=[NOTES],
    permissions=[NOTES_READ],
    scopes=[OWN_NOTES],
    events=[NOTE_DELETED],
    errors=[TooManyNotes],
    settings=NotesSettings,
)
