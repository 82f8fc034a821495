"""The calls on remembered devices."""

from typing import Any
from uuid import UUID

from marshmallow import fields

from app.access.guards import current_session, current_user, freshly_signed_in, signed_in
from app.access.levels import before_second_step
from app.auth.mfa.remembered_devices import devices
from app.errors import NotFound
from app.http.blueprint import Blueprint, refuses
from app.http.fields import Instant, Schema
from app.security import devices as device_names

bp = Blueprint(
    "remembered_devices",
    __name__,
    url_prefix="/auth/remembered-devices",
    description="Devices that skip the second step.",
)


class RememberedDeviceSchema(Schema):
    """A device on which a login needs no second proof."""

    id = fields.UUID(required=True)
    device = fields.Function(
        lambda device: device_names.name(device.user_agent),
        required=True,
        metadata={"type": "string"},
    )
    ip = fields.String(required=True, allow_none=True)
    created_at = Instant(required=True)
    last_used_at = Instant(required=True)
    expires_at = Instant(required=True)


class RememberedDeviceListSchema(Schema):
    items = fields.List(fields.Nested(RememberedDeviceSchema), required=True)


@bp.get("")
@before_second_step
@signed_in(keys=False)
@bp.returns(200, RememberedDeviceListSchema)
def read_remembered_devices() -> dict[str, Any]:
    """Your remembered devices. The one that was used last comes first."""
    return {"items": devices.living(current_user())}


@bp.delete("")
@before_second_step
@freshly_signed_in
@bp.returns(204)
def forget_remembered_devices() -> None:
    """Forget all your remembered devices."""
    devices.forget_all(current_session())


@bp.delete("/<uuid:device_id>")
@before_second_step
@freshly_signed_in
@refuses(NotFound)
@bp.returns(204)
def forget_remembered_device(device_id: UUID) -> None:
    """Forget one of your remembered devices."""
    devices.forget(current_session(), device_id)
