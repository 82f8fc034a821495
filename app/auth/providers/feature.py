"""Sign-in with other providers as an optional feature."""

from flask import Flask
from marshmallow import fields

from app.auth.providers import attempts, calls, checks, identities, messages
from app.auth.providers import settings as of_providers
from app.auth.providers.errors import (
    AttemptInvalid,
    IdentityTaken,
    LinkRequired,
    OtherIdentity,
    PasswordExists,
    ProviderFailed,
    ProviderRefused,
    RegistrationClosed,
    TooManyIdentities,
)
from app.auth.providers.events import EVENTS
from app.auth.providers.models import Attempt, Identity
from app.auth.providers.settings import ProviderSettings
from app.database import engines
from app.features import ExportPart, Feature
from app.http.fields import Instant, Schema
from app.models import User


class HeldIdentitySchema(Schema):
    """An account of a provider with which the user can log in."""

    provider = fields.String()
    issuer = fields.String()
    subject = fields.String(metadata={"description": "The provider's identifier of the person."})
    label = fields.String()
    created_at = Instant()
    last_used_at = Instant()


class HeldAttemptSchema(Schema):
    """A sign-in with a provider that was under way."""

    provider = fields.String()
    purpose = fields.String()
    created_at = Instant()
    expires_at = Instant()
    used_at = Instant(allow_none=True)


def _rows_of(key: str, schema: type[Schema], model: type[Identity] | type[Attempt]) -> ExportPart:
    def held_about(user: User) -> object:
        return engines.pages(model, model.user_id == user.id)

    return ExportPart(key, fields.List(fields.Nested(schema)), held_about)


def _init_app(app: Flask) -> None:
    of_providers.check(app)
    calls.init_app(app)


FEATURE = Feature(
    name="providers",
    blueprints=("app.auth.providers.routes:bp",),
    models=(Identity, Attempt),
    settings=ProviderSettings,
    init_app=_init_app,
    events=EVENTS,
    mails=messages.ALL,
    errors=(
        AttemptInvalid,
        ProviderRefused,
        OtherIdentity,
        RegistrationClosed,
        IdentityTaken,
        TooManyIdentities,
        LinkRequired,
        PasswordExists,
        ProviderFailed,
    ),
    exported=(
        _rows_of("identities", HeldIdentitySchema, Identity),
        _rows_of("provider_attempts", HeldAttemptSchema, Attempt),
    ),
    checks=(checks.identities_belong_to_these_providers, checks.links_by_address_name_domains),
    stages=(attempts.leave_to,),
    has_way_in=identities.has_way_in,
    credentials_changed=identities.credentials_changed,
    prunes={"sign-ins with providers": attempts.prune},
)
