"""Writing, reading and deleting notes."""

from collections.abc import Sequence

from sqlalchemy import delete, func, select

from app.audit import recording
from app.errors import NotFound
from app.extensions import db
from app.models import User
from config import settings
from notes.errors import TooManyNotes
from notes.models import Note
from notes.names import NOTE_DELETED
from notes.settings import NotesSettings


def write(author: User, *, text: str) -> Note:
    """Keep a note. Raises ``TooManyNotes``. Commits.

    Two calls at the same time may both get the last place. Nothing depends on it.
    """
    mine = select(func.count()).select_from(Note).where(Note.user_id == author.id)
    if (db.session.scalar(mine) or 0) >= settings.of(NotesSettings).per_user:
        raise TooManyNotes
    note = Note(user_id=author.id, text=text)
    db.session.add(note)
    db.session.commit()
    return note


def read(author_id: int) -> Sequence[Note]:
    """The author's notes, the oldest first."""
    return db.session.scalars(select(Note).where(Note.user_id == author_id).order_by(Note.id)).all()


def remove(author: User, note_id: int) -> None:
    """Delete a note of the author. Raises ``NotFound``. Commits."""
    gone = delete(Note).where(Note.id == note_id, Note.user_id == author.id).returning(Note.id)
    if db.session.scalar(gone) is None:
        raise NotFound
    recording.record(NOTE_DELETED, subject_id=author.id, actor_id=author.id, note_id=note_id)
    db.session.commit()
