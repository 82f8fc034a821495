"""API keys as an optional feature."""

from marshmallow import fields

from app.access.keys import KeyReader
from app.api_keys import checks, ending, form, messages, opening, reminders
from app.api_keys.errors import TooManyKeys
from app.api_keys.events import EVENTS
from app.api_keys.models import ApiKey
from app.api_keys.operating import KEYS_READ, KEYS_REVOKE
from app.api_keys.settings import KeySettings
from app.database import engines
from app.features import ExportPart, Feature
from app.http.fields import Instant, Schema

TEXTS = {"type": "array", "items": {"type": "string"}}


class HeldKeySchema(Schema):
    """An API key. The key itself is not stored."""

    name = fields.String()
    prefix = fields.String()
    last4 = fields.String()
    scopes = fields.Function(lambda key: key.scopes.split(), metadata=TEXTS)
    networks = fields.Function(lambda key: key.networks.split(), metadata=TEXTS)
    created_at = Instant()
    rotated_at = Instant()
    expires_at = Instant()
    last_used_at = Instant(allow_none=True)
    last_used_ip = fields.String(allow_none=True)


FEATURE = Feature(
    name="api_keys",
    blueprints=("app.api_keys.routes:bp", "app.api_keys.admin_routes:bp"),
    permissions=(KEYS_READ, KEYS_REVOKE),
    models=(ApiKey,),
    settings=KeySettings,
    events=EVENTS,
    mails=(*messages.ALL, reminders.key_end_due),
    errors=(TooManyKeys,),
    checks=(checks.api_keys_have_the_prefix,),
    key_reader=KeyReader(
        recognize=form.is_key,
        open=opening.open_session,
        lives=opening.lives,
        revoke=ending.report,
    ),
    credentials_changed=ending.credentials_changed,
    exported=(
        ExportPart(
            "api_keys",
            fields.List(fields.Nested(HeldKeySchema)),
            lambda user: engines.pages(ApiKey, ApiKey.user_id == user.id),
        ),
    ),
    prunes={"api keys": ending.prune},
)
