"""The refusals that concern API keys."""

from app.errors import AppError, Message


class TooManyKeys(AppError):
    status, code = 409, "too_many_keys"
    detail = "This account has as many API keys as an account may have. Revoke one first."


UNKNOWN_SCOPE = Message("unknown_scope", "There is no such scope.")
NO_SCOPES = Message("too_few", "Name at least one scope.")
NOT_A_NETWORK = Message("invalid_network", "Is not a network like 203.0.113.0/24 or 2001:db8::/32.")
