"""The part of ``GET /users/me/export`` with a person's notes."""

from collections.abc import Sequence

from marshmallow import fields

from app.features import ExportPart
from app.models import User
from notes import notebook
from notes.models import Note
from notes.schemas import NoteSchema


def _held_about(user: User) -> Sequence[Note]:
    return notebook.read(user.id)


NOTES = ExportPart("notes", fields.List(fields.Nested(NoteSchema)), _held_about)
