"""The calls under ``/api/v1/notes``."""

from typing import Any

from app.access.guards import current_user, permitted, signed_in
from app.errors import NotFound
from app.http.blueprint import Blueprint, refuses
from notes import notebook
from notes.errors import TooManyNotes
from notes.models import Note
from notes.names import NOTES_READ, OWN_NOTES
from notes.schemas import NewNoteSchema, NoteSchema, NotesSchema

bp = Blueprint("notes", __name__, description="What you wrote down.")


@bp.post("")
@signed_in(keys=OWN_NOTES)
@refuses(TooManyNotes)
@bp.takes(NewNoteSchema)
@bp.returns(201, NoteSchema)
def write_note(note: dict[str, Any]) -> Note:
    """Write a note."""
    return notebook.write(current_user(), **note)


@bp.get("")
@signed_in(keys=OWN_NOTES)
@bp.returns(200, NotesSchema)
def read_notes() -> dict[str, Any]:
    """Your notes, the oldest first."""
    return {"items": notebook.read(current_user().id)}


@bp.delete("/<digits:note_id>")
@signed_in(keys=OWN_NOTES)
@refuses(NotFound)
@bp.returns(204)
def delete_note(note_id: int) -> None:
    """Delete one of your notes."""
    notebook.remove(current_user(), note_id)


@bp.get("/of/<digits:user_id>")
@permitted(NOTES_READ, keys=True)
@bp.returns(200, NotesSchema)
def read_notes_of(user_id: int) -> dict[str, Any]:
    """The notes of another person."""
    return {"items": notebook.read(user_id)}
