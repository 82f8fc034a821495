"""Turns every error into an answer: ``application/problem+json`` (RFC 9457).

That includes Flask's own errors, the database's, and bugs. Of everything
internal, the answer holds only the ``request_id``.
"""

import logging
from collections.abc import Callable, Mapping
from typing import Any

from flask import Flask, Response, current_app, request
from flask_babel import gettext
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from werkzeug.exceptions import HTTPException, SecurityError
from werkzeug.http import HTTP_STATUS_CODES
from werkzeug.sansio.response import Response as BaseResponse

from app.database import failures, migration_state
from app.errors import (
    AppError,
    BadRequest,
    BodyTooLarge,
    InternalError,
    MethodNotAllowed,
    NotAuthenticated,
    NotEnoughPermissions,
    NotFound,
    PreconditionFailed,
    RateLimited,
    Unavailable,
    UnsupportedMediaType,
    ValidationFailed,
)
from app.extensions import db
from app.field_errors import MAX_DETAIL_LENGTH
from app.http.request_id import request_id

log = logging.getLogger(__name__)

PROBLEM_JSON = "application/problem+json"
JSON = "application/json"

# Strict OAuth clients refuse to read errors of these calls as anything else (RFC 6749 §5.2, RFC
# 7009 §2.2.1). The members stay those of a problem document.
OAUTH_PATHS = ("/api/v1/auth/token", "/api/v1/auth/revoke")


# What these clients read as ``error`` where a refusal has no word of its own. Without it, some take
# the document for a token. Every other status below 500 is ``invalid_request``.
OAUTH_ERRORS = {
    429: "temporarily_unavailable",
    500: "server_error",
    503: "temporarily_unavailable",
}

# Python's and Werkzeug's words for these are older than RFC 9110.
TITLES = HTTP_STATUS_CODES | {413: "Content Too Large", 422: "Unprocessable Content"}


FOR_STATUS: dict[int, type[AppError]] = {
    error.status: error
    for error in (
        BadRequest,
        NotAuthenticated,
        NotEnoughPermissions,
        NotFound,
        MethodNotAllowed,
        PreconditionFailed,
        BodyTooLarge,
        UnsupportedMediaType,
        ValidationFailed,
        RateLimited,
        InternalError,
        Unavailable,
    )
}


# It gets the status, the code and the headers of an error, and returns an answer or ``None``.
Answer = Callable[[int, str, Mapping[str, str]], BaseResponse | None]


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
    """Answer every error of this application in the same shape."""
    app.register_error_handler(AppError, as_response)
    app.register_error_handler(HTTPException, _answer_http_exception)
    for away in (OperationalError, InterfaceError, PoolTimeout):
        app.register_error_handler(away, _answer_database_away)
    app.register_error_handler(DBAPIError, _answer_database_error)
    app.register_error_handler(Exception, _answer_bug)


def answer_first(app: Flask, answer: Answer) -> None:
    """Ask this function before an error is answered with a problem document."""
    app.extensions["error answer"] = answer


def _problem(
    status: int,
    code: str,
    detail: str,
    *,
    members: Mapping[str, Any] | None = None,
    headers: Mapping[str, str] | None = None,
) -> BaseResponse:
    first: Answer | None = current_app.extensions.get("error answer")
    if first and (answered := first(status, code, headers or {})):
        return answered
    body: dict[str, Any] = {
        "type": "about:blank",
        "title": TITLES[status],
        "status": status,
        # It is cut because another blueprint may quote the request in its own sentence.
        "detail": detail[:MAX_DETAIL_LENGTH],
        "code": code,
        **(members or {}),
    }
    is_for_oauth = _is_for_oauth_clients(request.path)
    if is_for_oauth:
        body.setdefault("error", OAUTH_ERRORS.get(status, "invalid_request"))
        body.setdefault("error_description", body["detail"])
    body["request_id"] = request_id()
    response = current_app.json.response(body)
    response.status_code = status
    response.mimetype = JSON if is_for_oauth else PROBLEM_JSON
    response.headers.update(headers or {})
    return response


def _is_for_oauth_clients(path: str) -> bool:
    """Whether the path is that of an OAuth 2 call. A slash at its end does not matter."""
    return path.rstrip("/") in OAUTH_PATHS


def _answer_http_exception(error: HTTPException) -> BaseResponse:
    """Answer an error of Flask, of Werkzeug or of another blueprint's ``abort``."""
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
    if error.connection_invalidated or failures.is_passing(error.orig):
        return _answer_database_away(error)
    if _is_for_want_of_an_upgrade(error):
        return _answer_database_away(error)
    return _answer_bug(error)


def _is_for_want_of_an_upgrade(error: DBAPIError) -> bool:
    """Whether a table or a column is missing because nobody has run the migrations."""
    if not failures.lacks_schema(error.orig):
        return False
    try:
        with db.engine.connect() as connection:
            return not migration_state.read(connection).is_current
    except SQLAlchemyError:
        return False


def _answer_bug(error: Exception) -> BaseResponse:
    log.error("unexpected exception", exc_info=error)
    return as_response(InternalError())
