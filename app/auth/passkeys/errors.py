"""The refusals that concern passkeys."""

from app.errors import AppError, Message
from app.errors import CeremonyInvalid as CeremonyInvalid


class PasskeyExists(AppError):
    status, code = 409, "passkey_exists"
    detail = "This passkey is registered already."


class TooManyPasskeys(AppError):
    status, code = 409, "too_many_passkeys"
    detail = "This account has as many passkeys as an account may have. Remove one first."


class CredentialRefused(Exception):
    """The credential is not what the standard asks for; the text says why, for the log."""

    # Whose passkey it was, if that is known.
    user_id: int | None = None


REFUSED = Message("passkey_refused", "This passkey is not accepted.")
