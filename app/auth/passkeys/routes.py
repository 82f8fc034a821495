"""The calls on passkeys."""

from typing import Any
from uuid import UUID

from marshmallow import fields

from app.access.guards import current_session, freshly_signed_in, signed_in
from app.access.levels import before_second_step
from app.access.limits import Limit, limited, limited_writes
from app.auth.mfa import tickets
from app.auth.mfa.errors import FactorRequired, MfaTicketInvalid
from app.auth.mfa.limits import FACTOR_NETWORK
from app.auth.mfa.schemas import PasskeySchema
from app.auth.passkeys import ceremonies, keys, options, proving
from app.auth.passkeys.ceremonies import Purpose
from app.auth.passkeys.errors import CeremonyInvalid, PasskeyExists, TooManyPasskeys
from app.auth.passkeys.settings import are_on
from app.auth.schemas import NothingSchema, Token, TokenSchema
from app.auth.sessions.handover import Handover, tokens_of
from app.auth.sessions.handover_routes import TOKENS, hands_over, may_ask_for_cookie
from app.auth.ways_in import LastWayIn
from app.errors import InvalidCredentials, NotFound
from app.http.blueprint import Blueprint, refuses
from app.http.fields import DisplayName, Line, Schema, Text
from config import settings

bp = Blueprint("passkeys", __name__, url_prefix="/auth", description="Passkeys.")
endpoints = Blueprint("passkey_endpoints", __name__, description="For password managers.")

# Options prove nothing, and a login page asks for them each time it opens. So they are not counted
# with the proofs.
OPTIONS = Limit("passkey options", lambda: settings.ratelimit_token)


class CeremonySchema(Schema):
    """Send `options` to the browser, and `ceremony` back with what the browser answers."""

    ceremony = fields.String(required=True)
    options = fields.Dict(required=True, keys=fields.String())


class CredentialSchema(Schema):
    ceremony = Text(required=True, max_length=2000)
    credential = fields.Dict(
        required=True,
        keys=fields.String(),
        metadata={"description": "What the browser answered, as `toJSON()` gives it."},
    )


class NewPasskeySchema(CredentialSchema):
    name = DisplayName(max_length=100)


class NameSchema(Schema):
    name = Line(required=True, max_length=100)


class TicketSchema(Schema):
    mfa_token = Token(required=True)


class AddedPasskeySchema(Schema):
    """``recovery_codes`` is there only where the passkey is the account's first factor."""

    passkey = fields.Nested(PasskeySchema, required=True)
    recovery_codes = fields.List(fields.String())


class EndpointsSchema(Schema):
    """Where password managers send people (W3C, passkey endpoints)."""

    enroll = fields.URL(required=True, metadata={"format": "uri"})
    manage = fields.URL(required=True, metadata={"format": "uri"})


@endpoints.before_request  # type: ignore[untyped-decorator]
@bp.before_request  # type: ignore[untyped-decorator]  # flask-smorest has no types
def refuse_while_off() -> None:
    """Without passkeys none of these calls is there."""
    if not are_on():
        raise NotFound


@endpoints.get("/.well-known/passkey-endpoints")
@refuses(NotFound)
@endpoints.returns(200, EndpointsSchema)
def passkey_endpoints() -> dict[str, str]:
    """The page on which people add and manage their passkeys."""
    page = f"{settings.public_url}/account/security"
    return {"enroll": page, "manage": page}


@bp.post("/passkeys/login-options")
@limited(OPTIONS)
@bp.takes(NothingSchema)
@bp.returns(200, CeremonySchema)
def begin_passkey_login(_nothing: dict[str, Any]) -> dict[str, Any]:
    """Options for a login with a passkey. They name no account."""
    return options.for_login(ceremonies.begin(Purpose.LOGIN))


@bp.post("/passkeys/login")
@may_ask_for_cookie(bp)
@limited(FACTOR_NETWORK)
@bp.takes(CredentialSchema)
@refuses(CeremonyInvalid, InvalidCredentials)
@bp.returns(200, TokenSchema, description=TOKENS)
@hands_over(tokens_of)
def log_in_with_passkey(body: dict[str, Any]) -> Handover:
    """Begin a session with a passkey that verified its user."""
    return proving.log_in(**body)


@bp.post("/passkeys/options")
@before_second_step
@freshly_signed_in
@limited_writes
@bp.returns(200, CeremonySchema)
def begin_passkey_registration() -> dict[str, Any]:
    """Options for a new passkey."""
    return keys.begin(current_session())


@bp.post("/passkeys")
@before_second_step
@freshly_signed_in
@limited_writes
@bp.takes(NewPasskeySchema)
@refuses(CeremonyInvalid, PasskeyExists, TooManyPasskeys)
@bp.returns(201, AddedPasskeySchema)
def add_passkey(body: dict[str, Any]) -> dict[str, Any]:
    """Register what the browser answered.

    The answer holds recovery codes if this is your first factor. They are shown this once.
    """
    passkey, codes = keys.add(current_session(), **body)
    return {"passkey": keys.describe(passkey)} | ({"recovery_codes": codes} if codes else {})


@bp.patch("/passkeys/<uuid:passkey_id>")
@before_second_step
@signed_in(keys=False)
@limited_writes
@bp.takes(NameSchema)
@refuses(NotFound)
@bp.returns(200, PasskeySchema)
def rename_passkey(body: dict[str, Any], passkey_id: UUID) -> dict[str, Any]:
    """Give a passkey another name."""
    return keys.describe(keys.rename(current_session(), passkey_id, body["name"]))


@bp.delete("/passkeys/<uuid:passkey_id>")
@before_second_step
@freshly_signed_in
@limited_writes
@refuses(NotFound, LastWayIn, FactorRequired)
@bp.returns(204)
def remove_passkey(passkey_id: UUID) -> None:
    """Remove a passkey."""
    keys.remove(current_session(), passkey_id)


@bp.post("/mfa/passkey-options")
@limited(OPTIONS)
@bp.takes(TicketSchema)
@refuses(MfaTicketInvalid)
@bp.returns(200, CeremonySchema)
def begin_second_step(body: dict[str, Any]) -> dict[str, Any]:
    """Options for a passkey as the second proof of a login. They name the account's keys."""
    ticket = tickets.find(body["mfa_token"])
    return options.for_user(ceremonies.begin(Purpose.MFA, ticket.id), keys.usable(ticket.user_id))


@bp.post("/reauthenticate/passkey-options")
@before_second_step
@signed_in(keys=False)
@limited_writes
@bp.returns(200, CeremonySchema)
def begin_reauthentication() -> dict[str, Any]:
    """Options for a passkey with which you prove again who you are."""
    session = current_session()
    ceremony = ceremonies.begin(Purpose.REAUTHENTICATE, session.id)
    return options.for_user(ceremony, keys.usable(session.user_id))
