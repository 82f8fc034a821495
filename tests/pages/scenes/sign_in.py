"""Logging in and out, and everything before the account pages."""

from collections.abc import Iterator

from app.security.one_time_tokens import Purpose
from tests.factories import PASSWORD
from tests.pages.scenes.visit import Scene, Visit

LONG = "another long and good password"


def log_in(visit: Visit) -> Iterator[str]:
    user = visit.account()
    visit.open("/account/login")
    yield "empty"
    visit.send(username=user.username, password="wrong", remember="true")
    yield "refused"
    visit.send(username=user.username, password=PASSWORD)
    yield "done"
    visit.send("/account/logout")
    yield "done"


def second_step(visit: Visit) -> Iterator[str]:
    user = visit.account()
    phone = visit.phone(user)
    visit.open("/account/login")
    visit.send(username=user.username, password=PASSWORD)
    yield "empty"
    visit.send(otp="000000", remember_device="true")
    yield "refused"
    visit.send(otp=phone.code())
    yield "done"


def second_step_by_recovery_code(visit: Visit) -> Iterator[str]:
    user = visit.account()
    phone = visit.phone(user)
    visit.open("/account/login")
    visit.send(username=user.username, password=PASSWORD)
    visit.open("/account/second-step?use=recovery_code")
    yield "empty"
    visit.send(recovery_code="aaaa-aaaa-aaaa-aaaa")
    yield "refused"
    visit.send(recovery_code=phone.recovery_codes[0])
    yield "done"


def register(visit: Visit) -> Iterator[str]:
    taken = visit.account()
    visit.open("/account/register")
    yield "empty"
    visit.send(email=taken.email, username="-", password="short")
    yield "refused"
    name = f"new.{taken.username}"
    visit.send(email=f"{name}@example.com", username=name, password=LONG)
    yield "done"


def forgot(visit: Visit) -> Iterator[str]:
    user = visit.account()
    visit.open("/account/forgot")
    yield "empty"
    # It takes any text, so that its answer is always the same.
    visit.send(email=user.email)
    yield "done"


def reauthenticate(visit: Visit) -> Iterator[str]:
    visit.sign_in()
    visit.open("/account/reauthenticate?next=/account/email")
    yield "empty"
    visit.send(password="wrong")
    yield "refused"
    visit.send(password=PASSWORD)
    yield "done"


def reauthenticate_by_code(visit: Visit) -> Iterator[str]:
    user = visit.account()
    phone = visit.phone(user)
    visit.sign_in(user, otp=phone.code())
    visit.open("/account/reauthenticate")
    yield "empty"
    visit.send(otp="000000")
    yield "refused"
    visit.open("/account/reauthenticate?use=recovery_code")
    visit.send(recovery_code=phone.recovery_codes[0])
    yield "done"


# The page of a link, its purpose, and what its form asks for.
LINKS: tuple[tuple[str, Purpose, dict[str, str]], ...] = (
    ("verify-email", Purpose.EMAIL_VERIFICATION, {}),
    ("reset-password", Purpose.PASSWORD_RESET, {"new_password": LONG}),
    ("accept-invitation", Purpose.INVITATION, {"new_password": LONG}),
    ("confirm-email", Purpose.EMAIL_CHANGE, {}),
    ("undo-email-change", Purpose.EMAIL_UNDO, {}),
    ("not-me", Purpose.NOT_ME, {}),
)


def mailed_link(page: str, purpose: Purpose, typed: dict[str, str]) -> Scene:
    """The scene of a link: pasted wrongly, opened, refused if something is typed, and used."""

    def scene(visit: Visit) -> Iterator[str]:
        path = f"/account/{page}"
        user = visit.account(email_verified=purpose is not Purpose.EMAIL_VERIFICATION)
        changes = purpose in (Purpose.EMAIL_CHANGE, Purpose.EMAIL_UNDO)
        token = visit.link(user, purpose, f"other.{user.email}" if changes else user.email)
        visit.open(path)
        yield "empty"
        visit.send(f"{path}/check", token="x" * 43)
        yield "refused"
        visit.open(path)
        visit.send(f"{path}/check", token=token)
        yield "empty"
        if typed:
            visit.send(path, **dict.fromkeys(typed, "x"))
            yield "refused"
        visit.send(path, **typed)
        yield "done"
        visit.open(path)
        visit.send(f"{path}/check", token=token)
        yield "refused"

    scene.__name__ = page.replace("-", "_")
    return scene


def new_link(visit: Visit) -> Iterator[str]:
    user = visit.account(email_verified=False)
    for path in ("/account/verify-email/new-link", "/account/reset-password/new-link"):
        visit.open(path)
        yield "empty"
        visit.send(email=user.email)
        yield "done"


SCENES: tuple[Scene, ...] = (
    log_in,
    second_step,
    second_step_by_recovery_code,
    register,
    forgot,
    reauthenticate,
    reauthenticate_by_code,
    new_link,
    *(mailed_link(*link) for link in LINKS),
)
