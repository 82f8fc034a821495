"""Sign-in with a provider as a state machine: who gets into the account of an address?

Ada owns the mailbox. Mallory wants the account of its address, and does first or
last whatever she can: she registers with the address, names it at providers
that do not check it, links what she has, and keeps her sessions. Once Ada has
proved the mailbox, Mallory never gets in: she never proved it, and never had
the account's own secret. ``make fuzz`` runs it for long.
"""

from typing import Any

import hypothesis
from flask import Flask
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from sqlalchemy import select

from app.auth.password import reset
from app.extensions import db
from app.models import User
from app.security import one_time_tokens
from app.security.one_time_tokens import Purpose
from tests.auth.providers.acme import Acme, come_back, goal_of, offered, press, sign_in
from tests.factories import API
from tests.pages.person import Page, Person
from tests.tampering import empty_everything

LONG = 1000
# Acme gives out the addresses of this domain, and checks them. Other does not.
ADDRESS = "ada@acme.example"
OTHER = ("other", "https://id.other.example")
PASSWORDS = {"ada": "the long one of Ada", "mallory": "the long one of Mallory"}

people = st.sampled_from(["ada", "mallory"])
ways = st.sampled_from(["acme", "other"])


class Linking(RuleBasedStateMachine):
    app: Flask

    def __init__(self) -> None:
        super().__init__()
        self.other = Acme(*OTHER)
        self.context = offered(self.app, self.other)
        self.acme = self.context.__enter__()
        self.at = {name: Person(self.app) for name in PASSWORDS}
        # Whether Ada has shown that the mailbox is hers, since the account exists.
        self.proved = False

    def teardown(self) -> None:
        self.context.__exit__(None, None, None)
        with self.app.app_context():
            empty_everything()

    # What both do

    @rule(who=people)
    def register(self, who: str) -> None:
        account = {"email": ADDRESS, "username": f"{who}.1", "password": PASSWORDS[who]}
        self.at[who].client.post(f"{API}/auth/register", json=account)

    @rule(who=people)
    def log_in(self, who: str) -> None:
        page = self.at[who].open("/account/login")
        if page.path == "/account/login":
            self.at[who].send(page, username=ADDRESS, password=PASSWORDS[who])

    @rule(who=people)
    def log_out(self, who: str) -> None:
        page = self.at[who].open("/account")
        if page.path == "/account":
            self.at[who].send(page, "/account/logout")

    @rule(who=people, way=ways)
    def sign_in(self, who: str, way: str) -> None:
        """Where nobody has the address, a new account is made."""
        provider = self.acme if way == "acme" else self.other
        if self.at[who].open("/account/login").path != "/account/login":
            return
        answer = sign_in(self.at[who], provider, f"{who} there", **self.claims(who, way))
        where = answer.headers.get("Location", "")
        if where.endswith("/new-account"):
            page = self.at[who].follow(Page(answer))
            typed = {"username": f"{who}.2", "email": ADDRESS}
            self.at[who].send(page, **typed)
        self.note_proof(who, way)

    @rule(who=people, way=ways)
    def link(self, who: str, way: str) -> None:
        """Somebody who is signed in links what they have elsewhere."""
        provider = self.acme if way == "acme" else self.other
        page = self.at[who].open("/account/identities")
        if page.path != "/account/identities":
            return
        goal = goal_of(press(self.at[who], page, provider))
        brought = provider.agree(goal, f"{who} there", **self.claims(who, way))
        come_back(self.at[who], provider, brought)

    @rule(who=people, way=ways)
    def confirm(self, who: str, way: str) -> None:
        """Link what waits, where the page offers it."""
        path = f"/account/with/{way}/confirm"
        page = self.at[who].open(path)
        if any(form.action == path for form in page.forms):
            self.at[who].send(page)

    # What only the owner of the mailbox can do

    @precondition(lambda self: self.account() is not None)
    @rule()
    def reset_by_mail(self) -> None:
        with self.app.app_context():
            user = db.session.scalars(select(User).where(User.email == ADDRESS)).one()
            token = one_time_tokens.issue(user.id, Purpose.PASSWORD_RESET, email=ADDRESS)
            db.session.commit()
            reset.reset(token, PASSWORDS["ada"])
        self.proved = True

    def note_proof(self, who: str, way: str) -> None:
        if who == "ada" and way == "acme" and self.is_in("ada"):
            self.proved = True

    # What must hold

    @invariant()
    def mallory_is_out_once_the_mailbox_is_proved(self) -> None:
        if not self.proved:
            return
        assert not self.is_in("mallory"), "by her session"
        login = {"email": ADDRESS, "password": PASSWORDS["mallory"]}
        answer = self.app.test_client().post(f"{API}/auth/login", json=login)
        assert answer.status_code == 401, "by her password"
        for way, provider in (("acme", self.acme), ("other", self.other)):
            stranger = Person(self.app)
            sign_in(stranger, provider, "mallory there", **self.claims("mallory", way))
            assert self.of(stranger) != ADDRESS, f"by {way}"

    def claims(self, who: str, way: str) -> dict[str, Any]:
        """Other writes down any address, and says that it is verified. Acme does not."""
        if way == "other":
            return {"email": ADDRESS, "email_verified": True}
        return {"email": ADDRESS, "email_verified": who == "ada"}

    def account(self) -> int | None:
        with self.app.app_context():
            return db.session.scalar(select(User.id).where(User.email == ADDRESS))

    def is_in(self, who: str) -> bool:
        return self.of(self.at[who]) == ADDRESS

    def of(self, person: Person) -> str | None:
        """The address of the account that is open at a browser."""
        answer = person.client.get(f"{API}/users/me")
        return answer.json["email"] if answer.status_code == 200 else None


def test_whoever_proved_nothing_never_gets_in(app: Flask) -> None:
    budget = hypothesis.settings()
    if budget.max_examples < LONG:
        budget = hypothesis.settings(max_examples=8, stateful_step_count=15)

    run_state_machine_as_test(type("Machine", (Linking,), {"app": app}), settings=budget)
