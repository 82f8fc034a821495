"""Every error, as data, and the one place that turns any of them into an answer.

An error that a client can meet is a subclass of ``AppError``: a status, a
``code`` for programs that never changes, and a sentence for people. Whatever
else goes wrong (Flask's own errors, the database's, a bug) is translated
here into the same ``application/problem+json`` (RFC 9457), and nothing
internal leaves but the ``request_id``.
"""

import json
import logging
from collections.abc import Iterable, Mapping
from itertools import islice
from math import ceil
from typing import Any, TypeVar
from urllib.parse import quote

from flask import Flask, Response, current_app, request
from flask_babel import gettext
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from werkzeug.exceptions import HTTPException, SecurityError
from werkzeug.http import HTTP_STATUS_CODES
from werkzeug.sansio.response import Response as BaseResponse

from app import database_errors, migration_state
from app.extensions import db
from app.request_id import request_id

log = logging.getLogger(__name__)

PROBLEM_JSON = "application/problem+json"
JSON = "application/json"

# Strict OAuth clients refuse to read errors of these calls as anything else (RFC 6749 §5.2, RFC
# 7009 §2.2.1). The members stay those of a problem document.
OAUTH_PATHS = ("/api/v1/auth/token", "/api/v1/auth/revoke")

# An answer of errors is never much larger than the request that caused it, and never larger than
# 16 KiB: so many errors, so many characters of each key in a pointer, so many of a whole pointer
# (one key of 100 characters fits, percent-encoded), so many of a sentence, and so many bytes of
# the list. The rest of the document needs less than 4 KiB.
MAX_ERRORS = 20
MAX_KEY_LENGTH = 100
MAX_POINTER_LENGTH = 1250
MAX_DETAIL_LENGTH = 500
MAX_ERRORS_BYTES = 12 * 1024

T = TypeVar("T")

# Python's and Werkzeug's words for these are older than RFC 9110.
TITLES = HTTP_STATUS_CODES | {413: "Content Too Large", 422: "Unprocessable Content"}


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
        """In the language of who asks."""
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
    """As many of what was found as an answer has room for, and how many more there are.

    What is left out is counted and never kept: a request of 64 KiB can have
    thousands of flaws.
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


class OAuthError(AppError):
    """An error as OAuth 2 words it (RFC 6749 §5.2), inside the problem document."""

    status = 400

    def __init__(self) -> None:
        super().__init__(error=self.code, error_description=gettext(self.detail))


# 400: cannot be understood, or cannot be done as asked


class BadRequest(AppError):
    status, code = 400, "bad_request"
    detail = "The request cannot be understood."


class MalformedJSON(AppError):
    status, code = 400, "malformed_json"
    detail = "The body must be one JSON object in UTF-8, each key once, nested 20 deep at most."


class EmailTaken(AppError):
    status, code = 400, "email_taken"
    detail = "Email already registered"


class UsernameTaken(AppError):
    status, code = 400, "username_taken"
    detail = "Username already taken"


class RoleNameTaken(AppError):
    status, code = 400, "role_name_taken"
    detail = "There is a role of this name already."


class InvalidGrant(OAuthError):
    code, detail = "invalid_grant", "The credentials or the refresh token are not accepted."


class InvalidRequest(OAuthError):
    code, detail = "invalid_request", "A field is missing, repeated or not acceptable."


class UnsupportedGrantType(OAuthError):
    code, detail = "unsupported_grant_type", "Only password and refresh_token are supported."


class InactiveUser(AppError):
    status, code = 400, "inactive_user"
    detail = "Inactive user"


class InvalidLink(AppError):
    status, code = 400, "invalid_link"
    detail = "This link does not work, or not any more. Ask for a new one."


# 401: who are you? (RFC 6750 §3)


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


# 403 and 404: not yours, not there


class NotEnoughPermissions(AppError):
    status, code = 403, "not_enough_permissions"
    detail = "Not enough permissions"


class WrongPassword(AppError):
    status, code = 403, "wrong_password"
    detail = "Incorrect password"


class EmailNotVerified(AppError):
    status, code = 403, "email_not_verified"
    detail = "Confirm your email address first: we sent you a link."


class NotFound(AppError):
    status, code = 404, "not_found"
    detail = "There is no such thing here."


# 409: not in this state of affairs


class LastSuperuser(AppError):
    status, code = 409, "last_superuser"
    detail = "This is the last active superuser. Make another one first."


# What is wrong with the request's form


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

    ``left_out`` counts those that the caller found and did not describe.
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


# Too often


class RateLimited(AppError):
    """``retry_after`` is in seconds."""

    status, code = 429, "rate_limited"
    detail = "Too many attempts. Try again when Retry-After is over."

    def __init__(self, retry_after: float = 1) -> None:
        super().__init__()
        self.retry_after = max(1, ceil(retry_after))

    @property
    def headers(self) -> dict[str, str]:
        return {"Retry-After": str(self.retry_after)}


# 5xx: our fault


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


FOR_STATUS: dict[int, type[AppError]] = {
    error.status: error
    for error in (
        BadRequest,
        NotAuthenticated,
        NotEnoughPermissions,
        NotFound,
        MethodNotAllowed,
        BodyTooLarge,
        UnsupportedMediaType,
        ValidationFailed,
        RateLimited,
        InternalError,
        Unavailable,
    )
}


def as_response(error: AppError) -> BaseResponse:
    """The error as problem+json."""
    return _problem(
        error.status,
        error.code,
        gettext(error.detail),
        members=error.members,
        headers=error.headers,
    )


def init_app(app: Flask) -> None:
    """Answer every error of this application in the one shape."""
    app.register_error_handler(AppError, as_response)
    app.register_error_handler(HTTPException, _answer_http_exception)
    for away in (OperationalError, InterfaceError, PoolTimeout):
        app.register_error_handler(away, _answer_database_away)
    app.register_error_handler(DBAPIError, _answer_database_error)
    app.register_error_handler(Exception, _answer_bug)


def _problem(
    status: int,
    code: str,
    detail: str,
    *,
    members: Mapping[str, Any] | None = None,
    headers: Mapping[str, str] | None = None,
) -> BaseResponse:
    body = {
        "type": "about:blank",
        "title": TITLES[status],
        "status": status,
        # Another blueprint may quote the request in a sentence of its own.
        "detail": detail[:MAX_DETAIL_LENGTH],
        "code": code,
        **(members or {}),
        "request_id": request_id(),
    }
    response = current_app.json.response(body)
    response.status_code = status
    response.mimetype = JSON if _is_for_oauth_clients(request.path) else PROBLEM_JSON
    response.headers.update(headers or {})
    return response


def _is_for_oauth_clients(path: str) -> bool:
    """Whether the path is that of an OAuth 2 call, perhaps with a slash too many."""
    return path.rstrip("/") in OAUTH_PATHS


def _answer_http_exception(error: HTTPException) -> BaseResponse:
    """What Flask, Werkzeug or another blueprint's ``abort`` says in its own way."""
    if isinstance(error, SecurityError):
        # A host that is not ours; Werkzeug would repeat its name.
        return as_response(BadRequest())
    response = error.get_response()
    if error.code is None or error.code < 400:
        return Response(status=response.status_code, headers=_kept_headers(response))
    # A sentence is passed on if somebody wrote it for this case.
    own_words = error.description if error.description != type(error).description else None
    kept = _kept_headers(response)
    known = FOR_STATUS.get(error.code)
    if known is None:
        title = TITLES.get(error.code, "Error")
        code = title.lower().replace(" ", "_")
        return _problem(error.code, code, own_words or title, headers=kept)
    ours = known()
    return _problem(
        ours.status,
        ours.code,
        own_words or gettext(ours.detail),
        members=ours.members,
        headers=ours.headers | kept,
    )


def _kept_headers(response: Any) -> dict[str, str]:
    kept = ("Allow", "Location", "Retry-After", "WWW-Authenticate")
    return {name: response.headers[name] for name in kept if name in response.headers}


def _answer_database_away(error: Exception) -> BaseResponse:
    if isinstance(error, DBAPIError) and _is_for_want_of_an_upgrade(error):
        log.error(migration_state.NOT_MIGRATED)
        return as_response(Unavailable())
    log.error("the database is away", exc_info=error)
    return as_response(Unavailable())


def _answer_database_error(error: DBAPIError) -> BaseResponse:
    if error.connection_invalidated or database_errors.is_passing(error.orig):
        return _answer_database_away(error)
    if _is_for_want_of_an_upgrade(error):
        return _answer_database_away(error)
    return _answer_bug(error)


def _is_for_want_of_an_upgrade(error: DBAPIError) -> bool:
    """Whether a table or a column is missing because nobody has run the migrations."""
    if not database_errors.lacks_schema(error.orig):
        return False
    try:
        with db.engine.connect() as connection:
            return not migration_state.read(connection).is_current
    except SQLAlchemyError:
        return False


def _answer_bug(error: Exception) -> BaseResponse:
    log.error("unforeseen exception", exc_info=error)
    return as_response(InternalError())
