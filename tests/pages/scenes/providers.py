"""The pages of sign-in with providers. Acme answers in this process."""

from collections.abc import Iterator
from urllib.parse import urlencode

from tests.auth.providers.acme import DOMAIN, Acme, goal_of, link_directly, offered
from tests.factories import PASSWORD
from tests.pages.scenes.visit import Scene, Visit

BUTTON = "/account/with/acme"
LONG = "another long and good password"


def come_back(visit: Visit, acme: Acme, sub: str, **claims: object) -> None:
    """Agree at Acme, whose page is open, and open the callback."""
    brought = acme.agree(goal_of(visit.page.answer), sub, **claims)
    visit.open(f"{BUTTON}/callback?{urlencode(brought)}")


def sign_in_with_provider(visit: Visit) -> Iterator[str]:
    user = visit.account()
    link_directly(visit.app, user, user.username)
    with offered(visit.app) as acme:
        visit.open("/account/login")
        yield "empty"
        visit.send(BUTTON)
        yield "done"
        come_back(visit, acme, user.username)
        yield "done"
        visit.open(f"{BUTTON}/callback?state=x&code=x")
        yield "refused"


def answer_by_form(visit: Visit) -> Iterator[str]:
    """As Apple answers. The form comes from another site."""
    with offered(visit.app, answers_by_form=True) as acme:
        visit.open("/account/login")
        visit.send(BUTTON)
        brought = acme.agree(goal_of(visit.page.answer), "1")
        visit.used.add("POST /account/with/<name>/callback")
        answer = visit.person.ask("POST", f"{BUTTON}/callback", data=brought)
        assert answer.status_code == 200
        yield "done"


def new_account(visit: Visit) -> Iterator[str]:
    taken = visit.account()
    with offered(visit.app) as acme:
        visit.open("/account/register")
        visit.send(BUTTON)
        name = f"new.{taken.username}"
        come_back(visit, acme, name, email=f"{name}@{DOMAIN}", email_verified=True)
        yield "empty"
        visit.send(username=taken.username, email=taken.email)
        yield "refused"
        visit.send(username=name, email=f"{name}@{DOMAIN}")
        yield "done"


def confirm(visit: Visit) -> Iterator[str]:
    user = visit.account()
    with offered(visit.app) as acme:
        visit.open("/account/login")
        visit.send(BUTTON)
        come_back(visit, acme, f"of {user.username}", email=user.email)
        yield "empty"
        visit.open("/account/login?next=/account/with/acme/confirm")
        visit.send(username=user.username, password=PASSWORD)
        yield "empty"
        visit.send()
        yield "done"


def identities(visit: Visit) -> Iterator[str]:
    user = visit.account(password_hash=None)
    link_directly(visit.app, user, user.username)
    with offered(visit.app) as acme:
        visit.open("/account/login")
        visit.send(BUTTON)
        come_back(visit, acme, user.username)
        visit.open("/account/identities")
        yield "empty"
        unlink = visit.find("/account/identities/*/unlink")
        visit.send(unlink)
        yield "refused"
        visit.open("/account/password")
        yield "empty"
        visit.send(new_password="short")
        yield "refused"
        visit.send(new_password=LONG)
        yield "done"
        visit.open("/account/identities")
        visit.send(unlink)
        yield "done"
        visit.send(BUTTON)
        come_back(visit, acme, f"another {user.username}")
        yield "done"


def reauthenticate_with_provider(visit: Visit) -> Iterator[str]:
    user = visit.account(password_hash=None)
    link_directly(visit.app, user, user.username)
    with offered(visit.app) as acme:
        visit.open("/account/login")
        visit.send(BUTTON)
        come_back(visit, acme, user.username)
        visit.let_time_pass(user)
        visit.open("/account/reauthenticate?next=/account/identities")
        yield "empty"
        visit.send(BUTTON)
        come_back(visit, acme, user.username)
        yield "refused"


SCENES: tuple[Scene, ...] = (
    sign_in_with_provider,
    answer_by_form,
    new_account,
    confirm,
    identities,
    reauthenticate_with_provider,
)
