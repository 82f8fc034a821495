"""The refusals that concern passkeys."""

from app.errors import AppError, Message


class CeremonyInvalid(AppError):
    status, code = 400, "ceremony_invalid"
    detail = "This ceremony cannot be continued. Ask for new options."


class PasskeyExists(AppError):
    status, code = 409, "passkey_exists"
    detail = "This passkey is registered already."


class CredentialRefused(Exception):
    """The credential is not what the standard asks for; the text says why, for the log."""


REFUSED = Message("passkey_refused", "This passkey is not accepted.")
