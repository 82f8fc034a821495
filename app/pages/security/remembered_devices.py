"""The forms that forget remembered devices."""

from contextlib import suppress
from uuid import UUID

from flask import Response

from app.access.guards import current_session, freshly_signed_in
from app.access.levels import before_second_step
from app.auth.mfa.remembered_devices import devices
from app.errors import NotFound
from app.pages import notices
from app.pages.page import Pages, go
from app.pages.security import overview

bp = Pages("remembered_devices", __name__)

PATH = f"{overview.PATH}/remembered-devices"

FORGOTTEN = notices.declare(
    "device_forgotten", "The device is forgotten. Its next login asks for a second proof."
)
ALL_FORGOTTEN = notices.declare(
    "devices_forgotten", "All devices are forgotten. Their next logins ask for a second proof."
)


@bp.post(f"{PATH}/forget")
@before_second_step
@freshly_signed_in
def forget_remembered_devices() -> Response:
    devices.forget_all(current_session())
    return go(overview.PATH, ALL_FORGOTTEN)


@bp.post(f"{PATH}/<uuid:device_id>/forget")
@before_second_step
@freshly_signed_in
def forget_remembered_device(device_id: UUID) -> Response:
    # Somebody may press the button twice.
    with suppress(NotFound):
        devices.forget(current_session(), device_id)
    return go(overview.PATH, FORGOTTEN)
