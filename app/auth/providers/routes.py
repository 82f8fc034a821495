"""The calls on providers, on linked identities, and on the first password."""

from collections.abc import Mapping
from typing import Any

from flask import request

from app.access.guards import current_session, current_user, freshly_signed_in, signed_in
from app.access.limits import LOGIN, TOKEN, limited, limited_writes
from app.auth.login.login import GATE_REFUSALS
from app.auth.providers import attempts, first_password, identities, native
from app.auth.providers.errors import LinkRequired, PasswordExists, RegistrationClosed
from app.auth.providers.schemas import (
    FirstPasswordSchema,
    IdentityListSchema,
    IdTokenSchema,
    NonceSchema,
    ProviderListSchema,
)
from app.auth.providers.settings import Provider, providers
from app.auth.schemas import NothingSchema, TokenSchema
from app.auth.sessions.handover import tokens_of
from app.auth.ways_in import LastWayIn
from app.errors import EmailTaken, NotFound, Overloaded
from app.http import languages
from app.http.blueprint import Blueprint, refuses
from app.security.tokens import TokenPair

bp = Blueprint("providers", __name__, url_prefix="/auth", description="Sign-in with others.")


@bp.get("/providers")
@bp.returns(200, ProviderListSchema)
def read_providers() -> dict[str, Any]:
    """The providers with which people may sign in, in the order of the settings."""
    return {"items": list(providers().values())}


@bp.post("/providers/<name>/nonce")
@limited(TOKEN)
@bp.takes(NothingSchema)
@refuses(NotFound)
@bp.returns(200, NonceSchema)
def begin_native_sign_in(_nothing: Mapping[str, Any], name: str) -> dict[str, str]:
    """A nonce for a native application, which passes it to the provider's library."""
    return {"nonce": attempts.begin_native(_of_native_applications(name))}


@bp.post("/providers/<name>/id-token")
@limited(LOGIN)
@bp.takes(IdTokenSchema)
@refuses(NotFound, *GATE_REFUSALS, EmailTaken, LinkRequired, RegistrationClosed)
@bp.returns(200, TokenSchema)
def log_in_with_id_token(body: dict[str, str], name: str) -> TokenPair:
    """Begin a session with the ID token of a native application.

    Somebody whose identity is not linked yet gets an account with the address in the token.
    """
    locale = languages.preferred(request.accept_languages)
    return tokens_of(native.log_in(_of_native_applications(name), **body, locale=locale))


@bp.get("/identities")
@signed_in(keys=False)
@bp.returns(200, IdentityListSchema)
def read_identities() -> dict[str, Any]:
    """The accounts of providers that are linked with yours, the oldest first."""
    return {"items": [identities.describe(one) for one in identities.of(current_user().id)]}


@bp.delete("/identities/<digits:identity_id>")
@freshly_signed_in
@limited_writes
@refuses(NotFound, LastWayIn)
@bp.returns(204)
def unlink_identity(identity_id: int) -> None:
    """Unlink an account of a provider. The last way to log in stays."""
    identities.unlink(current_session(), identity_id)


@bp.post("/password/set")
@freshly_signed_in
@limited_writes
@bp.takes(FirstPasswordSchema)
@refuses(PasswordExists, Overloaded)
@bp.returns(204)
def set_first_password(body: dict[str, str]) -> None:
    """Set a password for your account, if it has none yet. You stay signed in."""
    first_password.set_first(current_session(), **body)


def _of_native_applications(name: str) -> Provider:
    """Raises ``NotFound``. GitHub signs no ID tokens."""
    provider = providers().get(name)
    if provider is None or provider.is_github:
        raise NotFound
    return provider
