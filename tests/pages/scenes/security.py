"""The pages of second factors, recovery codes and remembered devices."""

from collections.abc import Iterator

from tests.auth.mfa.phone import Phone, go_on, ticket_of
from tests.pages.scenes.visit import Scene, Visit

SECURITY = "/account/security"


def authenticator_app(visit: Visit) -> Iterator[str]:
    visit.sign_in()
    visit.open(SECURITY)
    yield "empty"
    visit.open(f"{SECURITY}/totp")
    yield "empty"
    visit.send(f"{SECURITY}/totp")
    yield "empty"
    phone = Phone(visit.page.form().fields["secret"], [], "")
    visit.send(otp="000000")
    yield "refused"
    visit.send(otp=phone.code())
    yield "done"
    visit.open(SECURITY)
    yield "empty"
    visit.send(f"{SECURITY}/second-step", enabled="false")
    yield "done"
    visit.send(f"{SECURITY}/second-step", enabled="maybe")
    yield "refused"
    visit.send(f"{SECURITY}/totp/remove")
    yield "done"


def recovery_codes(visit: Visit) -> Iterator[str]:
    user = visit.account()
    phone = visit.phone(user)
    visit.sign_in(user, otp=phone.code())
    visit.open(f"{SECURITY}/recovery-codes")
    yield "empty"
    visit.send(f"{SECURITY}/recovery-codes")
    yield "done"


def remembered_devices(visit: Visit) -> Iterator[str]:
    user = visit.account()
    phone = visit.phone(user)
    visit.sign_in(user, otp=phone.code())
    visit.open(SECURITY)
    yield "empty"
    elsewhere = visit.app.test_client()
    for code in phone.recovery_codes[:3]:
        go_on(elsewhere, ticket_of(elsewhere, user), recovery_code=code, remember_device=True)
    visit.open(SECURITY)
    yield "empty"
    visit.send(visit.find(f"{SECURITY}/remembered-devices/*/forget"))
    yield "done"
    visit.send(f"{SECURITY}/remembered-devices/forget")
    yield "done"


SCENES: tuple[Scene, ...] = (authenticator_app, recovery_codes, remembered_devices)
