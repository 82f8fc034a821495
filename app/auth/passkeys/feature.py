"""Passkeys as an optional feature."""

from marshmallow import fields

from app.auth.mfa.export_schemas import rows_of
from app.auth.passkeys import ceremonies, checks, events, keys, messages
from app.auth.passkeys.errors import CeremonyInvalid, PasskeyExists, TooManyPasskeys
from app.auth.passkeys.models import Passkey, PasskeyHandle, SpentCeremony
from app.auth.passkeys.settings import PasskeySettings, check
from app.features import Feature
from app.http.fields import Instant, Schema


class HeldPasskeySchema(Schema):
    name = fields.String()
    rp_id = fields.String()
    transports = fields.String()
    may_sync = fields.Boolean(allow_none=True)
    synced = fields.Boolean()
    verifies_user = fields.Boolean()
    aaguid = fields.UUID(
        allow_none=True, metadata={"description": "The make of the authenticator."}
    )
    created_at = Instant()
    last_used_at = Instant(allow_none=True)


FEATURE = Feature(
    name="passkeys",
    needs="mfa",
    blueprints=("app.auth.passkeys.routes:bp",),
    pages=("app.auth.passkeys.routes:endpoints",),
    models=(Passkey, PasskeyHandle, SpentCeremony),
    settings=PasskeySettings,
    init_app=check,
    events=(events.PASSKEY_COPIED,),
    mails=(messages.passkey_copied,),
    errors=(CeremonyInvalid, PasskeyExists, TooManyPasskeys),
    exported=(rows_of("passkeys", HeldPasskeySchema, Passkey),),
    checks=(checks.passkeys_belong_to_this_domain,),
    has_way_in=keys.has_way_in,
    prunes={"passkey ceremonies": ceremonies.prune},
)
