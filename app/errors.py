"""The errors that a client can meet.

Each is a subclass of ``AppError``: a status, a ``code`` for programs that
never changes, and a sentence for people. ``app/http/problems.py`` turns them
into answers. ``Message``, which says what is wrong with one field, is in
``app/field_errors.py`` and can be imported from here as well.
"""

from collections.abc import Iterable
from math import ceil
from typing import Any

from app.field_errors import Message as Message
from app.field_errors import fitting, told


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
    """The session must be confirmed, and at level ``aal``, within ``max_age`` seconds."""

    code = "fresh_token_required"
    detail = "This needs a recent login: send a proof to /api/v1/auth/reauthenticate."
    WITH_FACTOR = (
        "This needs a login with a recent second factor: send one to /api/v1/auth/reauthenticate."
    )

    def __init__(self, *, aal: int = 1, max_age: int | None = None) -> None:
        super().__init__()
        self.aal, self.max_age = aal, max_age
        if aal > 1:
            self.detail = self.WITH_FACTOR

    @property
    def headers(self) -> dict[str, str]:
        """RFC 9470 §3."""
        wanted = 'Bearer error="insufficient_user_authentication"'
        if self.aal > 1:
            wanted += f', acr_values="aal{self.aal}"'
        if self.max_age is not None:
            wanted += f", max_age={self.max_age}"
        return {"WWW-Authenticate": wanted}


# 403 and 404: the caller may not do it, or nothing is there


class NotEnoughPermissions(AppError):
    status, code = 403, "not_enough_permissions"
    detail = "Not enough permissions"


class KeyNotAllowed(AppError):
    """The request has an API key, and the call wants a person who is logged in."""

    status, code = 403, "key_not_allowed"
    detail = "An API key cannot do this. Log in instead."


class CsrfFailed(AppError):
    """Another site may have made the browser send the request (cross-site request forgery)."""

    status, code = 403, "csrf_failed"
    detail = "The request did not come from a page of this site."


class FormExpired(CsrfFailed):
    """The form came from this site, but it does not belong to the browser's present cookies."""

    detail = "This form is too old. Open the page again."


class MfaRequired(LoginRefused):
    """The first proof is right, and a second one is due."""

    status, code = 403, "mfa_required"
    detail = "A second factor is required"


class WrongFactor(LoginRefused):
    status, code = 403, "wrong_factor"
    detail = "Incorrect code"


class CeremonyInvalid(AppError):
    """A second proof may be a passkey's, so the calls that take proofs name this refusal."""

    status, code = 400, "ceremony_invalid"
    detail = "This ceremony cannot be continued. Ask for new options."


class MfaEnrollmentRequired(AppError):
    status, code = 403, "mfa_enrollment_required"
    detail = "This account must have a second factor. Set one up first."


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


class PreconditionFailed(AppError):
    status, code = 412, "precondition_failed"
    detail = "This has changed since you read it, or is not in the state that you asked for."


class BodyTooLarge(AppError):
    status, code = 413, "body_too_large"
    detail = "The body is larger than 64 KiB."


class UnsupportedMediaType(AppError):
    """``detail`` may name the types that the call accepts."""

    status, code = 415, "unsupported_media_type"
    detail = "The body is of a type that is not accepted here."

    def __init__(self, detail: str | None = None) -> None:
        super().__init__()
        self.detail = detail or self.detail


class ValidationFailed(AppError):
    """Some fields are refused; each of ``errors`` is ``Message.at(…)`` or ``Message.about(…)``.

    ``left_out`` counts the errors that the caller found and did not describe.
    """

    status, code = 422, "validation_failed"
    detail = "Some of what was sent is not acceptable; see errors."

    def __init__(self, errors: Iterable[dict[str, str]] = (), *, left_out: int = 0) -> None:
        first, more = told(errors)
        kept = fitting(first)
        left_out += more + len(first) - len(kept)
        super().__init__(errors=kept, **{"errors_left_out": left_out} if left_out else {})


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
