"""The refusals that concern second factors."""

from app.errors import AppError, LoginRefused


class MfaTicketInvalid(LoginRefused):
    status, code = 400, "mfa_ticket_invalid"
    detail = "This login cannot be continued. Log in again."


class NoFactor(AppError):
    status, code = 409, "no_factor"
    detail = "There is no second factor. Set one up first."


class FactorExists(AppError):
    status, code = 409, "factor_exists"
    detail = "There is such a second factor already. Remove it first."


class FactorRequired(AppError):
    status, code = 409, "factor_required"
    detail = "This account must have a second factor."
