"""The account pages, apart from those of second factors."""

from collections.abc import Iterator

from tests.factories import PASSWORD
from tests.pages.scenes.visit import Scene, Visit

LONG = "another long and good password"


def profile(visit: Visit) -> Iterator[str]:
    visit.sign_in()
    visit.open("/account")
    yield "empty"
    visit.send(username="-", avatar_url="ftp://nowhere.example", bio="<b>\n" * 3)
    yield "refused"
    visit.open("/account")
    visit.send(full_name="Augusta-Ada-King-Countess-of-Lovelace", bio="w" * 300)
    yield "done"


def password(visit: Visit) -> Iterator[str]:
    visit.sign_in()
    visit.open("/account/password")
    yield "empty"
    visit.send(current_password="wrong", new_password="short")
    yield "refused"
    visit.send(current_password=PASSWORD, new_password=LONG)
    yield "done"


def email(visit: Visit) -> Iterator[str]:
    user = visit.sign_in(visit.account(email_verified=False))
    visit.open("/account/email")
    yield "empty"
    visit.send("/account/email/resend")
    yield "done"
    visit.send(new_email="nobody")
    yield "refused"
    visit.send(new_email=f"other.{user.email}")
    yield "done"
    visit.send("/account/email/cancel")
    yield "done"


def email_long_after_the_login(visit: Visit) -> Iterator[str]:
    visit.let_time_pass(visit.sign_in())
    for path in ("/account/email", "/account/export"):
        visit.open(path)
        yield "empty"


def devices(visit: Visit) -> Iterator[str]:
    user = visit.sign_in()
    elsewhere = visit.elsewhere(user)
    visit.elsewhere(user)
    visit.open("/account/devices")
    yield "empty"
    visit.send(f"/account/devices/{elsewhere}")
    yield "done"
    visit.send("/account/devices/others")
    yield "done"
    visit.send("/account/devices/everywhere")
    yield "done"


def activity(visit: Visit) -> Iterator[str]:
    user = visit.sign_in()
    visit.happen(user, "login_succeeded", times=25)
    visit.open("/account/activity")
    yield "empty"


def export(visit: Visit) -> Iterator[str]:
    visit.sign_in()
    visit.open("/account/export")
    yield "empty"
    visit.download("/account/export")


def delete(visit: Visit) -> Iterator[str]:
    visit.sign_in()
    visit.open("/account/delete")
    yield "empty"
    visit.send(password="wrong")
    yield "refused"
    visit.send(password=PASSWORD)
    yield "done"


SCENES: tuple[Scene, ...] = (
    profile,
    password,
    email,
    email_long_after_the_login,
    devices,
    activity,
    export,
    delete,
)
