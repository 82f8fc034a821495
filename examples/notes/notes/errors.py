"""The refusals of the notes."""

from app.errors import AppError


class TooManyNotes(AppError):
    status, code = 409, "too_many_notes"
    detail = "Delete a note first: you have as many as you may have."
