"""The page of the second factors: what there is, and whether a login asks for it."""

from typing import Any

from flask import Response

from app import features
from app.access.guards import current_session, current_user, freshly_signed_in, signed_in
from app.access.levels import before_second_step
from app.access.limits import limited_writes
from app.auth.mfa import factors, methods
from app.auth.mfa.remembered_devices import devices
from app.auth.mfa.schemas import SecondStepSchema
from app.pages import notices, words
from app.pages.forms import EMPTY, Form, takes_form
from app.pages.page import Pages, go, render

bp = Pages("security", __name__)

PATH = "/account/security"

SWITCHED_ON = notices.declare(
    "second_step_on", "The second step is on. From now on, each login asks for a second proof."
)
SWITCHED_OFF = notices.declare(
    "second_step_off", "The second step is off. Your password alone is enough to log in."
)


def show(form: Form, **_: Any) -> Response:
    """The page, also for the forms of single factors that were refused."""
    user = current_user()
    there = {feature.name for feature in features.active()}
    remembered = devices.living(user) if "remembered_devices" in there else ()
    return render(
        "security/overview.html",
        form=form,
        there=there,
        held=factors.describe(user),
        has_factor=methods.has_factor(user.id),
        remembered=[(device, words.device_of(device.user_agent)) for device in remembered],
    )


@bp.get(PATH)
@before_second_step
@signed_in
def security_page() -> Response:
    return show(EMPTY)


@bp.post(f"{PATH}/second-step", refused=show)
@before_second_step
@freshly_signed_in
@limited_writes
@takes_form(SecondStepSchema)
def switch_second_step(given: dict[str, Any]) -> Response:
    factors.switch(current_session(), enabled=given["enabled"])
    return go(PATH, SWITCHED_ON if given["enabled"] else SWITCHED_OFF)
