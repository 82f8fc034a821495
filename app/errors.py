"""The errors that a client can meet.

Each is a subclass of ``AppError``: a status, a ``code`` for programs that
never changes, and a sentence for people. ``app/http/problems.py`` turns them
into answers.
"""

import json
from collections.abc import Iterable
from itertools import islice
from math import ceil
from typing import Any, TypeVar
from urllib.parse import quote

from flask_babel import gettext

# These limits keep an answer with errors from being much larger than the request that caused it,
# or larger than 16 KiB. Lengths are in characters; a whole pointer has room for one key of 100
# characters, percent-encoded. The bytes are those of the list of errors; the rest of the document
# needs less than 4 KiB.
MAX_ERRORS = 20
MAX_KEY_LENGTH = 100
MAX_POINTER_LENGTH = 1250
MAX_DETAIL_LENGTH = 500
MAX_ERRORS_BYTES = 12 * 1024

T = TypeVar("T")


class Message(str):
    """A sentence about one field, with the code that programs read.

    ``template`` may have places like ``%(most)d`` for the values.
    """

    code: str
    template: str
    values: dict[str, object]

    def __new__(cls, code: str, template: str, **values: object) -> "Message":
        message = super().__new__(cls, template % values if values else template)
        message.code, message.template, message.values = code, template, values
        return message

    def __reduce__(self) -> tuple[type["Message"], tuple[str, str]]:
        return Message, (self.code, str(self))

    def translated(self) -> str:
        """The sentence in the language of the current request."""
        return str(gettext(self.template, **self.values))

    def at(self, path: Iterable[str | int]) -> dict[str, str]:
        """This message about the place in the JSON body, as a member of ``errors``."""
        return {"pointer": json_pointer(path), "code": self.code, "detail": self.translated()}

    def about(self, parameter: str) -> dict[str, str]:
        """This message about a parameter of the query, as a member of ``errors``."""
        return {
            "parameter": parameter[:MAX_KEY_LENGTH],
            "code": self.code,
            "detail": self.translated(),
        }


UNSTORABLE = Message("invalid_characters", "NUL and lone surrogates are not accepted.")
REPEATED = Message("repeated", "May be given only once.")


def json_pointer(path: Iterable[str | int]) -> str:
    """The place as a JSON Pointer in a URI fragment (RFC 6901 §6).

    Long keys are cut. Where the whole path is too long, the pointer names the
    last place on the path that fits.
    """
    pointer = "#"
    for key in path:
        escaped = str(key)[:MAX_KEY_LENGTH].replace("~", "~0").replace("/", "~1")
        part = f"/{quote(escaped, safe='~!$&()*+,;=:@-._')}"
        if len(pointer) + len(part) > MAX_POINTER_LENGTH:
            break
        pointer += part
    return pointer


def told(found: Iterable[T]) -> tuple[list[T], int]:
    """The first flaws, as many as an answer has room for, and the number of the others.

    The others are counted and never kept, because a request of 64 KiB can
    have thousands of flaws.
    """
    rest = iter(found)
    first = list(islice(rest, MAX_ERRORS))
    return first, sum(1 for _ in rest)


class AppError(Exception):
    """An answer other than success. ``members`` go into the problem document as they are."""

    status: int
    code: str
    detail: str

    def __init__(self, **members: Any) -> None:
        self.members = members
        super().__init__(self.code)

    @property
    def headers(self) -> dict[str, str]:
        return {}


# 400: cannot be understood, or cannot be done as asked


class BadRequest(AppError):
    status, code = 400, "bad_request"
    detail = "The request cannot be understood."


class MalformedJSON(AppError):
    status, code = 400, "malformed_json"
    detail = "The body must be one JSON object in UTF-8, with each key once and at most 20 levels."


class EmailTaken(AppError):
    status, code = 400, "email_taken"
    detail = "Email already registered"


class UsernameTaken(AppError):
    status, code = 400, "username_taken"
    detail = "Username already taken"


class LoginRefused(AppError):
    """The password is right, and a stage of the login does not let the user pass.

    ``members`` may hold what the client needs next, like a ticket. The audit
    log records a failed login with ``recorded_reason``, unless it is ``None``.
    """

    recorded_reason: str | None = None


class InactiveUser(LoginRefused):
    status, code = 400, "inactive_user"
    detail = "Inactive user"
    recorded_reason = "inactive"


class InvalidLink(AppError):
    status, code = 400, "invalid_link"
    detail = "This link is not valid, or it is no longer valid. Ask for a new one."


# 401: the caller is not known (RFC 6750 §3)


class Unauthorized(AppError):
    status = 401

    @property
    def headers(self) -> dict[str, str]:
        return {"WWW-Authenticate": "Bearer"}


class NotAuthenticated(Unauthorized):
    code, detail = "not_authenticated", "Not authenticated"


class InvalidCredentials(Unauthorized):
    code, detail = "invalid_credentials", "Incorrect email or password"


class InvalidToken(Unauthorized):
    code, detail = "invalid_token", "Could not validate credentials"

    @property
    def headers(self) -> dict[str, str]:
        return {"WWW-Authenticate": 'Bearer error="invalid_token"'}


class TokenExpired(InvalidToken):
    code = "token_expired"


class SessionEnded(InvalidToken):
    code = "session_ended"


class InvalidRefreshToken(InvalidToken):
    code, detail = "invalid_refresh_token", "Invalid refresh token"


class RefreshTokenReused(InvalidRefreshToken):
    code = "refresh_token_reused"


class FreshTokenRequired(Unauthorized):
    code = "fresh_token_required"
    detail = "This needs a recent login: send the password to /auth/reauthenticate."

    @property
    def headers(self) -> dict[str, str]:
        """RFC 9470 §3."""
        return {"WWW-Authenticate": 'Bearer error="insufficient_user_authentication"'}


# 403 and 404: the caller may not do it, or nothing is there


class NotEnoughPermissions(AppError):
    status, code = 403, "not_enough_permissions"
    detail = "Not enough permissions"


class WrongPassword(AppError):
    status, code = 403, "wrong_password"
    detail = "Incorrect password"


class EmailNotVerified(LoginRefused):
    status, code = 403, "email_not_verified"
    detail = "Confirm your email address first: we sent you a link."
    recorded_reason = "email_not_verified"


class NotFound(AppError):
    status, code = 404, "not_found"
    detail = "There is nothing at this path."


# 405 to 422: the form of the request is wrong


class MethodNotAllowed(AppError):
    status, code = 405, "method_not_allowed"
    detail = "This method does not work here; see the Allow header."


class BodyTooLarge(AppError):
    status, code = 413, "body_too_large"
    detail = "The body is larger than 64 KiB."


class UnsupportedMediaType(AppError):
    status, code = 415, "unsupported_media_type"
    detail = "The body is of a type that is not accepted here."


class ValidationFailed(AppError):
    """Some fields are refused; each of ``errors`` is ``Message.at(…)`` or ``Message.about(…)``.

    ``left_out`` counts the errors that the caller found and did not describe.
    """

    status, code = 422, "validation_failed"
    detail = "Some of what was sent is not acceptable; see errors."

    def __init__(self, errors: Iterable[dict[str, str]] = (), *, left_out: int = 0) -> None:
        first, more = told(errors)
        fitting = _that_fit(first)
        left_out += more + len(first) - len(fitting)
        super().__init__(errors=fitting, **{"errors_left_out": left_out} if left_out else {})


def _that_fit(errors: list[dict[str, str]]) -> list[dict[str, str]]:
    room = MAX_ERRORS_BYTES
    for number, error in enumerate(errors):
        room -= len(json.dumps(error, ensure_ascii=False).encode("utf-8", "surrogatepass"))
        if room < 0:
            return errors[:number]
    return errors


# 429: too many requests


class RateLimited(AppError):
    """``retry_after`` is in seconds."""

    status, code = 429, "rate_limited"
    detail = "Too many attempts. Try again after the number of seconds in Retry-After."

    def __init__(self, retry_after: float = 1) -> None:
        super().__init__()
        self.retry_after = max(1, ceil(retry_after))

    @property
    def headers(self) -> dict[str, str]:
        return {"Retry-After": str(self.retry_after)}


# 5xx: the fault is on our side


class InternalError(AppError):
    status, code = 500, "internal_error"
    detail = "Something went wrong on our side. Name the request_id when you report it."


class Overloaded(AppError):
    status, code = 503, "overloaded"
    detail = "Too many logins at this moment. Try again in a few seconds."

    @property
    def headers(self) -> dict[str, str]:
        return {"Retry-After": "2"}


class Unavailable(AppError):
    status, code = 503, "unavailable"
    detail = "The service cannot do this right now. Try again in a moment."

    @property
    def headers(self) -> dict[str, str]:
        return {"Retry-After": "2"}
