"""Remembered devices as an optional feature."""

from marshmallow import fields

from app.auth.mfa import second_step
from app.auth.mfa.export_schemas import rows_of
from app.auth.mfa.remembered_devices import devices
from app.auth.mfa.remembered_devices.models import RememberedDevice
from app.features import Feature
from app.http.fields import Instant, Schema

second_step.when_proved(devices.remember)


class HeldDeviceSchema(Schema):
    ip = fields.String(allow_none=True)
    user_agent = fields.String(allow_none=True)
    created_at = Instant()
    last_used_at = Instant()
    expires_at = Instant()


FEATURE = Feature(
    name="remembered_devices",
    needs="mfa",
    blueprints=("app.auth.mfa.remembered_devices.routes:bp",),
    models=(RememberedDevice,),
    stages=(devices.skip,),
    credentials_changed=devices.credentials_changed,
    exported=(rows_of("remembered_devices", HeldDeviceSchema, RememberedDevice),),
    prunes={"remembered devices": devices.prune},
)
