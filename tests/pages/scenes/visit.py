"""Somebody who goes through the states of a page, with the test client."""

from collections.abc import Callable, Iterator
from fnmatch import fnmatch
from itertools import count
from typing import Any
from uuid import UUID

from flask import Flask
from sqlalchemy import func, select, update

from app import clock
from app.administration import roles
from app.audit import checks
from app.audit.links import Broken
from app.audit.verification import Verdict
from app.auth.login.throttle import Kind
from app.auth.mfa.totp.models import TotpFactor
from app.extensions import db
from app.models import AuditEvent, LoginThrottle, Session, User, UserRole
from app.models.login_throttle import ANYWHERE
from app.security import one_time_tokens, pseudonyms
from app.security.one_time_tokens import AnyPurpose
from tests.auth.mfa.phone import Phone, confirm, give_password
from tests.auth.passkeys.authenticator import ORIGIN, Authenticator
from tests.auth.passkeys.browser import with_passkey
from tests.cookies import FORM, sign_in
from tests.factories import API, bearer, claims_of, log_in, make_user
from tests.pages.person import SITE, Page, Person

Scene = Callable[["Visit"], Iterator[str]]

_numbers = count(1)


class Visit:
    """One person at one browser. ``page`` is what the browser shows.

    ``used`` has the routes that were opened or sent to, for the question
    whether these were all.
    """

    # What the browser signs for.
    origin = ORIGIN

    def __init__(self, app: Flask, locale: str = "en") -> None:
        self.app, self.locale = app, locale
        self.person = Person(app)
        self.client = self.person.client
        self.client.set_cookie("locale", locale)
        self.used: set[str] = set()
        self.page: Page

    def account(self, **columns: Any) -> User:
        """A new account, whose address is confirmed."""
        name = f"ada{next(_numbers)}"
        given = {"email": f"{name}@example.com", "email_verified": True, "locale": self.locale}
        return make_user(self.app, username=name, **given | columns)

    def sign_in(self, user: User | None = None, **proofs: Any) -> User:
        user = user or self.account()
        sign_in(self.client, user, **proofs)
        return user

    def elsewhere(self, user: User, **proofs: Any) -> UUID:
        """Sign the user in on another device. Returns its session."""
        answer = give_password(self.app.test_client(), user, **proofs)
        session: str = claims_of(answer.json["access_token"])["sid"]
        return UUID(session)

    def phone(self, user: User) -> Phone:
        """Give the user an authenticator app, from another device. Commits.

        Its code of now works once more, so a scene need not wait for the next one.
        """
        client = self.app.test_client()
        token = log_in(client, user)["access_token"]
        made = client.post(f"{API}/auth/factors/totp", headers=bearer(token))
        phone = Phone(made.json["secret"], [], token)
        phone.recovery_codes = confirm(client, token, phone.code()).json["recovery_codes"]
        with self.app.app_context():
            of_user = update(TotpFactor).where(TotpFactor.user_id == user.id)
            db.session.execute(of_user.values(last_step=None))
            db.session.commit()
        return phone

    def suspend(self, user: User, kind: Kind = Kind.PASSWORD) -> None:
        """Let there have been too many wrong passwords, or codes, for the account. Commits."""
        with self.app.app_context():
            db.session.add(
                LoginThrottle(
                    subject=pseudonyms.of(kind, str(user.id)),
                    network=ANYWHERE,
                    failures=100,
                    last_failure_at=clock.now(),
                )
            )
            db.session.commit()

    def passkey(self, user: User) -> Authenticator:
        """Give the user a passkey, from another device."""
        key = Authenticator()
        with_passkey(self.app.test_client(), user, key)
        return key

    def happen(self, user: User, event: str, times: int, **columns: Any) -> None:
        """Let something have happened to the user. Commits."""
        given = {"event": event, "subject_id": user.id, **columns}
        with self.app.app_context():
            db.session.add_all(AuditEvent(**given) for _ in range(times))
            db.session.commit()

    def find_the_log_changed(self) -> None:
        """Let a check of the audit log have found something about the last event. Commits."""
        with self.app.app_context():
            last = db.session.scalar(select(func.max(AuditEvent.id)))
            broken = Broken("edited", "An event was edited.", 1, last)
            checks.remember(Verdict(1, 1, "0" * 64, 0, broken), after=1)

    def give_role(self, name: str, people: int) -> int:
        """Let so many new people have the role. Commits. Returns the id of the role."""
        accounts = [self.account() for _ in range(people)]
        with self.app.app_context():
            role_id = roles.by_name(name).id
            db.session.add_all(UserRole(user_id=user.id, role_id=role_id) for user in accounts)
            db.session.commit()
        return role_id

    def link(self, user: User, purpose: AnyPurpose, email: str | None = None) -> str:
        """The token of a mailed link. Commits."""
        with self.app.app_context():
            token = one_time_tokens.issue(user.id, purpose, email=email or user.email)
            db.session.commit()
        return token

    def let_time_pass(self, user: User) -> None:
        """The logins of the user are not fresh any more. Commits."""
        with self.app.app_context():
            of_user = update(Session).where(Session.user_id == user.id)
            db.session.execute(of_user.values(authenticated_at=None))
            db.session.commit()

    def open(self, path: str) -> None:
        self.used.add(self.rule_of("GET", path))
        self.page = self.person.open(path)
        self.used.add(self.rule_of("GET", self.page.path))

    def send(self, action: str | None = None, *, press: str | None = None, **typed: Any) -> None:
        """Fill in a form and send it, and follow to where it leads."""
        self.used.add(self.rule_of("POST", action or self.page.form().action))
        page = self.person.send(self.page, action, press=press, **typed)
        self.page = self.person.follow(page) if page.status == 303 else page

    def lose_the_form(self) -> None:
        """Let the browser lose the cookie to which its forms belong."""
        self.client.delete_cookie(FORM)

    def download(self, action: str) -> None:
        """Send a form whose answer is a file. The page stays."""
        self.used.add(self.rule_of("POST", action))
        data = self.page.form(action).fields
        answer = self.person.ask("POST", action, data=data)
        assert "attachment" in answer.headers["Content-Disposition"]

    def find(self, pattern: str) -> str:
        """The first action or link of the page that matches, like ``/account/devices/*``."""
        actions = [form.action for form in self.page.forms]
        return next(path for path in (*actions, *self.page.links) if fnmatch(path, pattern))

    def rule_of(self, method: str, path: str) -> str:
        """The route that answers this path, like ``GET /account/security/passkeys/<…>``."""
        adapter = self.app.url_map.bind("localhost")
        plain = path.partition("#")[0].partition("?")[0].removeprefix(SITE)
        if not adapter.test(plain, method):
            return f"{method} {plain}"
        rule, _ = adapter.match(plain, method, return_rule=True)
        return f"{method} {rule.rule}"
