"""The calls of OAuth 2 clients."""

from typing import Any

from marshmallow import fields

from app.access.limits import TOKEN, limited, limited_guesses
from app.auth.oauth import oauth
from app.auth.oauth.oauth import InvalidGrant, InvalidRequest, UnsupportedGrantType, in_oauth_words
from app.auth.oauth.schemas import RevokeFormSchema, TokenFormSchema
from app.auth.schemas import NothingSchema, TokenSchema
from app.errors import MfaRequired, Overloaded, WrongFactor
from app.http.blueprint import Blueprint, refuses
from app.http.fields import Schema
from app.security import signing_keys
from app.security.tokens import TokenPair

bp = Blueprint("oauth", __name__)
key_set = Blueprint("keys", __name__, description="The keys that verify access tokens.")
metadata = Blueprint("oauth_metadata", __name__, description="For OAuth 2 clients.")

# A new key must be published for longer than this before it signs; docs/keys.md says so.
JWKS_MAX_AGE_SECONDS = 300


class JwkSetSchema(Schema):
    """RFC 7517 §5."""

    keys = fields.List(fields.Dict(), required=True)


@key_set.get("/.well-known/jwks.json")
@key_set.returns(200, JwkSetSchema)
def jwks() -> tuple[dict[str, Any], int, dict[str, str]]:
    """The public keys that verify access tokens. There are none while signing is symmetric."""
    # Vary is sent also while CORS is off: a cache may keep this answer until after CORS is on.
    kept = {"Cache-Control": f"public, max-age={JWKS_MAX_AGE_SECONDS}", "Vary": "Origin"}
    return signing_keys.current().jwk_set(), 200, kept


class MetadataSchema(Schema):
    """RFC 8414 §2. `response_types_supported` is empty: nobody is sent to a page to log in."""

    issuer = fields.String(required=True)
    token_endpoint = fields.String(required=True)
    revocation_endpoint = fields.String(required=True)
    jwks_uri = fields.String(required=True)
    grant_types_supported = fields.List(fields.String(), required=True)
    response_types_supported = fields.List(fields.String(), required=True)
    token_endpoint_auth_methods_supported = fields.List(fields.String(), required=True)
    revocation_endpoint_auth_methods_supported = fields.List(fields.String(), required=True)
    ui_locales_supported = fields.List(fields.String(), required=True)
    service_documentation = fields.String(required=True)


@metadata.get("/.well-known/oauth-authorization-server")
@metadata.returns(200, MetadataSchema)
def authorization_server() -> tuple[dict[str, Any], int, dict[str, str]]:
    """What the token endpoint can do, for OAuth 2 clients (RFC 8414)."""
    kept = {"Cache-Control": f"public, max-age={JWKS_MAX_AGE_SECONDS}", "Vary": "Origin"}
    return oauth.metadata(), 200, kept


@bp.post("/token")
@in_oauth_words
@limited(TOKEN)
@bp.takes_form(TokenFormSchema)
@refuses(InvalidGrant, InvalidRequest, UnsupportedGrantType, MfaRequired, WrongFactor, Overloaded)
@bp.returns(200, TokenSchema)
def token(form: dict[str, Any]) -> TokenPair:
    """The token endpoint of OAuth 2 (RFC 6749 §4.3 and §6).

    Where the user's second step is on, send `otp` or `recovery_code` beside the password. Or
    go on from the refusal `mfa_required` with its `mfa_token`: the grant
    `http://auth0.com/oauth/grant-type/mfa-otp` takes `mfa_token` and `otp`, and
    `POST /api/v1/auth/mfa` takes every kind of second factor.
    """
    give = token_for_password if oauth.is_login(form) else oauth.token
    return give(form)


token_for_password = limited_guesses(oauth.token)


@bp.post("/revoke")
@in_oauth_words
@limited(TOKEN)
@bp.takes_form(RevokeFormSchema)
@refuses(InvalidRequest)
@bp.returns(200, NothingSchema)
def revoke(form: dict[str, Any]) -> dict[str, Any]:
    """End the session of an access or a refresh token (RFC 7009), or an API key.

    Its owner is told of an API key that ended so. Any other token is not an error.
    """
    oauth.revoke(form["token"])
    return {}
