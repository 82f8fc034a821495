"""The refusals that concern providers."""

from app.errors import AppError


class AttemptInvalid(AppError):
    """The answer is not genuine, is not for this browser, came twice, or came too late."""

    status, code = 400, "attempt_invalid"
    detail = "This sign-in cannot be continued. Begin again."


class ProviderRefused(AppError):
    """The provider says no, or the person did."""

    status, code = 403, "provider_refused"
    detail = "The provider did not sign you in."


class OtherIdentity(AppError):
    """A signed-in person was to prove who they are, and somebody else did."""

    status, code = 403, "other_identity"
    detail = "That is not the account with which you sign in here."


class RegistrationClosed(AppError):
    status, code = 403, "registration_closed"
    detail = "No account is linked with this identity, and new accounts are not made here."


class IdentityTaken(AppError):
    status, code = 409, "identity_taken"
    detail = "This identity is linked with another account."


class TooManyIdentities(AppError):
    status, code = 409, "too_many_identities"
    detail = "This account has as many identities as an account may have. Unlink one first."


class LinkRequired(AppError):
    """An account has the address, and its owner must link the identity."""

    status, code = 409, "link_required"
    detail = "An account has this address. Log in to it, and link the identity there."


class PasswordExists(AppError):
    status, code = 409, "password_exists"
    detail = "This account has a password already. Change it."


class ProviderFailed(AppError):
    """The provider is away, or says something that cannot be believed.

    ``reason`` is for the log of an operator. People do not see it.
    """

    status, code = 502, "provider_failed"
    detail = "The provider does not work right now. Try again later, or log in in another way."

    def __init__(self, reason: str) -> None:
        super().__init__()
        self.reason = reason


class ProviderAway(ProviderFailed):
    """It could not be reached, or its answer cannot be read."""
