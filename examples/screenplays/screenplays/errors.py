"""The refusals of the screenplays."""

from app.errors import AppError


class TooManyScreenplays(AppError):
    status, code = 409, "too_many_screenplays"
    detail = "Delete a screenplay first: you have as many as you may have."


class TooManyPeople(AppError):
    status, code = 409, "too_many_people"
    detail = "Take somebody off this screenplay first: it has as many people as it may have."


class AlreadyInvited(AppError):
    status, code = 409, "already_invited"
    detail = "This person is on the list already."


class TooManyPages(AppError):
    status, code = 409, "too_many_pages"
    detail = "This screenplay is too long for a PDF file."


class IfMatchRequired(AppError):
    """RFC 6585 §3: without a condition, the last of two editors would win unknowingly."""

    status, code = 428, "if_match_required"
    detail = "Send the ETag of the screenplay that you read as If-Match."
