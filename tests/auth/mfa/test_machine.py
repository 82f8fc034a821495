"""Second factors as a state machine, beside a model of who can log in with what.

Hypothesis drives enrolment and removal, devices, resets, changes of the
password and the address, "not me", roles, deactivation and the passing of
time. After each step every way in is tried, and must answer as the model says.
``make fuzz`` runs it for long.
"""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import hypothesis
import pyotp
import sqlalchemy
import time_machine
from flask import Flask
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from werkzeug.test import TestResponse

from app import clock
from app.administration import accounts
from app.auth.email import change as email_change
from app.auth.mfa import operating
from app.auth.password import not_me
from app.auth.password import reset as password_reset
from app.extensions import db
from app.models import Role, User
from app.security import one_time_tokens
from app.security.one_time_tokens import Purpose
from tests.auth.passkeys.authenticator import Authenticator
from tests.auth.passkeys.browser import log_in_with, register
from tests.factories import API, PASSWORD, bearer, make_user, permit, problem

# `make fuzz` asks for at least so many histories.
LONG = 1000
STEP = timedelta(seconds=30)
TICKET = timedelta(minutes=5)
RECENT = timedelta(days=7)
DEVICE = timedelta(days=30)
OVERLAP = timedelta(seconds=10)


@dataclass
class Device:
    """A remembered device: its token, the one before, and when that was replaced."""

    token: str
    created_at: datetime
    previous: str | None = None
    rotated_at: datetime | None = None


@dataclass
class Waiting:
    """A login that waits for its second step."""

    token: str
    until: datetime
    tries: int = 5


@dataclass
class Account:
    """What the model knows of Ada's account."""

    password: str | None = PASSWORD
    active: bool = True
    second_step: bool = False
    required: bool = False
    secret: str | None = None
    confirmed_at: datetime | None = None
    last_step: int = -1
    codes: list[str] = field(default_factory=list)
    codes_made_at: datetime | None = None
    passkey: Authenticator | None = None
    passkey_added_at: datetime | None = None
    devices: list[Device] = field(default_factory=list)
    waiting: Waiting | None = None

    @property
    def has_totp(self) -> bool:
        return self.confirmed_at is not None

    @property
    def has_factor(self) -> bool:
        return self.has_totp or self.passkey is not None

    def changed(self) -> None:
        """A credential changed: devices and waiting logins are over."""
        self.devices.clear()
        self.waiting = None

    def without_factor(self) -> None:
        self.second_step = False
        self.secret = self.confirmed_at = None
        self.codes, self.codes_made_at = [], None
        self.passkey = self.passkey_added_at = None

    def take_back(self) -> None:
        """What was added in the last week goes, because it was not the owner."""
        since = clock.now() - RECENT
        if self.confirmed_at is None or self.confirmed_at >= since:
            self.secret = self.confirmed_at = None
        if self.codes_made_at and self.codes_made_at >= since:
            self.codes, self.codes_made_at = [], None
        if self.passkey_added_at and self.passkey_added_at >= since:
            self.passkey = self.passkey_added_at = None
        if not self.has_factor:
            self.without_factor()


class Factors(RuleBasedStateMachine):
    app: Flask

    def __init__(self) -> None:
        super().__init__()
        self.client = self.app.test_client()
        start = clock.now().replace(microsecond=0)
        self.travel = time_machine.travel(start, tick=False)
        self.time = self.travel.start()
        self.ada = make_user(self.app, username="ada", email="ada@example.com", email_verified=True)
        self.account = Account()
        self.addresses = 0

    def teardown(self) -> None:
        self.travel.stop()
        with self.app.app_context():
            for model in (User, Role):
                db.session.execute(sqlalchemy.delete(model))
            db.session.commit()

    # What people send

    def post(self, path: str, token: str | None = None, **body: Any) -> TestResponse:
        headers = bearer(token) if token else {}
        sent = {"json": body} if body or token is None else {}
        return self.client.post(f"{API}/auth/{path}", headers=headers, **sent)

    def give_password(self, **beside: Any) -> TestResponse:
        body = {"username": "ada", "password": self.account.password or PASSWORD, **beside}
        return self.post("login", **body)

    def code(self) -> str:
        """A code that was not used yet: time passes until there is one."""
        assert self.account.secret
        if self.now_step() <= self.account.last_step:
            self.time.shift(STEP)
        return pyotp.TOTP(self.account.secret).at(int(clock.now().timestamp()))

    def now_step(self) -> int:
        return int(clock.now().timestamp()) // 30

    def use_code(self) -> str:
        code = self.code()
        self.account.last_step = self.now_step()
        return code

    def strong_token(self) -> str:
        """A fresh access token of the highest level that Ada can reach."""
        account = self.account
        if account.passkey:
            answer = log_in_with(self.client, account.passkey)
        elif account.second_step:
            answer = self.give_password(otp=self.use_code())
        else:
            answer = self.give_password()
        assert answer.status_code == 200, answer.text
        token: str = answer.json["access_token"]
        return token

    def can_log_in(self) -> bool:
        """Whether Ada herself can log in, in the strongest way she has."""
        account = self.account
        if not account.active:
            return False
        return account.passkey is not None or account.password is not None

    # Factors

    @precondition(lambda self: self.can_log_in() and not self.account.has_totp)
    @rule()
    def set_up_the_app(self) -> None:
        token, account = self.strong_token(), self.account
        first = not account.has_factor
        made = self.post("factors/totp", token)
        assert made.status_code == 201, made.text
        account.secret, account.last_step = made.json["secret"], -1

        wrong = self.post("factors/totp/confirm", token, otp=self.wrong_code())
        right = self.post("factors/totp/confirm", token, otp=self.use_code())

        assert problem(wrong) == (403, "wrong_factor")
        assert right.status_code == 200, right.text
        account.changed()
        account.confirmed_at, account.second_step = clock.now(), True
        self.take_codes(right, first=first)

    def wrong_code(self) -> str:
        """Six digits that are the code of no step around now."""
        assert self.account.secret
        totp, now = pyotp.TOTP(self.account.secret), int(clock.now().timestamp())
        near = {totp.at(now + 30 * steps) for steps in (-1, 0, 1)}
        return next(code for code in ("000000", "111111", "222222", "333333") if code not in near)

    def take_codes(self, answer: TestResponse, *, first: bool) -> None:
        made = answer.json.get("recovery_codes")
        assert (made is not None) == (first and not self.account.codes)
        if made:
            self.account.codes, self.account.codes_made_at = made, clock.now()

    @precondition(lambda self: self.can_log_in() and not self.account.has_totp)
    @rule()
    def begin_and_do_not_confirm(self) -> None:
        made = self.post("factors/totp", self.strong_token())

        assert made.status_code == 201
        self.account.secret, self.account.last_step = made.json["secret"], -1

    @precondition(lambda self: self.can_log_in() and self.account.has_totp)
    @rule()
    def remove_the_app(self) -> None:
        token, account = self.strong_token(), self.account
        answer = self.client.delete(f"{API}/auth/factors/totp", headers=bearer(token))

        if account.required and account.passkey is None:
            assert problem(answer) == (409, "factor_required")
            return
        assert answer.status_code == 204, answer.text
        account.changed()
        account.secret = account.confirmed_at = None
        if not account.has_factor:
            account.without_factor()

    @precondition(lambda self: self.can_log_in() and self.account.passkey is None)
    @rule()
    def add_a_passkey(self) -> None:
        token, account = self.strong_token(), self.account
        first, authenticator = not account.has_totp, Authenticator(algorithm=-8)

        answer = register(self.client, token, authenticator)

        assert answer.status_code == 201, answer.text
        account.changed()
        account.passkey, account.passkey_added_at = authenticator, clock.now()
        self.take_codes(answer, first=first)

    @precondition(lambda self: self.can_log_in())
    @rule(enabled=st.booleans())
    def switch(self, enabled: bool) -> None:
        token, account = self.strong_token(), self.account
        answer = self.client.put(
            f"{API}/auth/factors/second-step", json={"enabled": enabled}, headers=bearer(token)
        )

        if enabled and not account.has_factor:
            assert problem(answer) == (409, "no_factor")
        elif not enabled and account.required:
            assert problem(answer) == (409, "factor_required")
        else:
            assert answer.status_code == 200, answer.text
            if account.second_step != enabled:
                account.waiting = None
            account.second_step = enabled

    @precondition(lambda self: self.can_log_in())
    @rule()
    def make_new_codes(self) -> None:
        token, account = self.strong_token(), self.account
        answer = self.post("factors/recovery-codes", token)

        if not account.has_factor:
            assert problem(answer) == (409, "no_factor")
            return
        account.changed()
        account.codes, account.codes_made_at = answer.json["recovery_codes"], clock.now()

    # Logins

    @precondition(lambda self: self.account.second_step and self.can_give_password())
    @rule()
    def begin_a_login(self) -> None:
        answer = self.give_password()

        assert problem(answer) == (403, "mfa_required")
        self.account.waiting = Waiting(answer.json["mfa_token"], clock.now() + TICKET)

    @precondition(lambda self: self.account.codes and self.account.second_step)
    @precondition(lambda self: self.can_give_password())
    @rule(remember=st.booleans())
    def use_a_recovery_code(self, remember: bool) -> None:
        account = self.account
        code = account.codes.pop()
        ticket = self.give_password().json["mfa_token"]

        answer = self.post("mfa", mfa_token=ticket, recovery_code=code, remember_device=remember)

        assert answer.status_code == 200, answer.text
        assert ("device_token" in answer.json) == remember
        if remember:
            account.devices.append(Device(answer.json["device_token"], clock.now()))
        again = self.give_password(recovery_code=code)
        assert problem(again) == (403, "wrong_factor")

    @precondition(lambda self: self.account.devices and self.can_give_password())
    @rule(data=st.data())
    def log_in_on_a_device(self, data: Any) -> None:
        """With its token, or with the one before."""
        device = data.draw(st.sampled_from(self.account.devices))
        tokens = [token for token in (device.token, device.previous) if token]
        token = data.draw(st.sampled_from(tokens))

        answer = self.give_password(device_token=token)

        if not self.account.second_step:
            # Nobody looks at it.
            assert answer.status_code == 200
            assert "device_token" not in answer.json
            return
        is_known = clock.now() < device.created_at + DEVICE
        if token == device.previous:
            is_known &= device.rotated_at is not None and clock.now() < device.rotated_at + OVERLAP
        if not is_known:
            assert problem(answer) == (403, "mfa_required")
        elif token == device.previous:
            assert answer.json["device_token"] == device.token
        else:
            assert answer.json["device_token"] != token
            device.previous, device.rotated_at = token, clock.now()
            device.token = answer.json["device_token"]

    # Changes of the account

    @precondition(lambda self: self.can_log_in() and self.account.password)
    @rule()
    def change_the_password(self) -> None:
        account, new = self.account, f"{self.account.password}!"[-60:]
        body = {"current_password": account.password, "new_password": new}
        answer = self.post("password/change", self.strong_token(), **body)

        assert answer.status_code == 200, answer.text
        account.password = new
        account.changed()

    @precondition(lambda self: self.account.active)
    @rule()
    def reset_by_mail(self) -> None:
        """It keeps the factors, and the second step."""
        new = f"a new password {clock.now().timestamp()}"
        with self.app.app_context():
            password_reset.reset(self.link(Purpose.PASSWORD_RESET), new)
        self.account.password = new
        self.account.changed()

    @rule()
    def reset_by_an_administrator(self) -> None:
        with self.app.app_context():
            operating.reset(self.ada.id, actor=None)
        self.account.without_factor()
        self.account.changed()

    @precondition(lambda self: self.account.active)
    @rule()
    def say_not_me(self) -> None:
        with self.app.app_context():
            not_me.repudiate(self.link(Purpose.NOT_ME))
        self.account.password = None
        self.account.changed()
        self.account.take_back()

    @precondition(lambda self: self.account.active)
    @rule()
    def change_the_address(self) -> None:
        self.addresses += 1
        with self.app.app_context():
            address = f"ada{self.addresses}@example.com"
            token = one_time_tokens.issue(self.ada.id, Purpose.EMAIL_CHANGE, email=address)
            db.session.commit()
            email_change.confirm(token)
        self.account.changed()

    @rule()
    def deactivate_or_activate(self) -> None:
        self.account.active = not self.account.active
        with self.app.app_context():
            accounts.set_active(self.address(), self.account.active)
        self.account.changed()

    @precondition(lambda self: self.can_log_in())
    @rule()
    def log_out_everywhere(self) -> None:
        answer = self.post("logout?scope=global", self.strong_token())

        assert answer.status_code == 204
        self.account.changed()

    @precondition(lambda self: not self.account.required)
    @rule()
    def get_a_role_that_requires_it(self) -> None:
        permit(self.app, self.ada, "users:read")
        with self.app.app_context():
            db.session.execute(sqlalchemy.update(Role).values(require_mfa=True))
            db.session.commit()
        self.account.required = True

    @rule(
        span=st.sampled_from(
            [
                timedelta(seconds=9),
                timedelta(seconds=30),
                timedelta(minutes=6),
                timedelta(days=3),
                timedelta(days=8),
                timedelta(days=29),
            ]
        )
    )
    def wait(self, span: timedelta) -> None:
        self.time.shift(span)

    # Who can log in with what

    @invariant()
    def a_password_alone_is_enough_only_while_the_second_step_is_off(self) -> None:
        answer, account = self.give_password(), self.account
        if account.password is None:
            assert problem(answer) == (401, "invalid_credentials")
        elif not account.active:
            assert problem(answer) == (400, "inactive_user")
        elif account.second_step:
            assert problem(answer) == (403, "mfa_required")
            assert set(answer.json["methods"]) == self.methods()
        else:
            assert answer.status_code == 200, answer.text

    @invariant()
    def a_used_or_wrong_code_never_is(self) -> None:
        account = self.account
        if not (account.second_step and account.has_totp and self.can_give_password()):
            return
        assert problem(self.give_password(otp=self.wrong_code())) == (403, "wrong_factor")
        if account.last_step >= 0:
            used = pyotp.TOTP(account.secret or "").at(account.last_step * 30)
            # The same six digits may be those of the next step too.
            if used != pyotp.TOTP(account.secret or "").at((account.last_step + 1) * 30):
                assert problem(self.give_password(otp=used)) == (403, "wrong_factor")

    @invariant()
    def a_passkey_logs_in_while_it_is_there(self) -> None:
        account = self.account
        if account.passkey and account.active:
            answer = log_in_with(self.client, account.passkey)
            assert answer.status_code == 200, answer.text

    @invariant()
    def a_waiting_login_goes_on_while_nothing_changed(self) -> None:
        waiting = self.account.waiting
        if waiting is None:
            return
        answer = self.post("mfa", mfa_token=waiting.token, recovery_code="0" * 16)
        if clock.now() >= waiting.until or waiting.tries == 0:
            assert problem(answer) == (400, "mfa_ticket_invalid")
            return
        waiting.tries -= 1
        assert problem(answer) == (403, "wrong_factor")
        assert answer.json["tries_left"] == waiting.tries

    @invariant()
    def what_is_stored_is_what_the_model_says(self) -> None:
        account = self.account
        with self.app.app_context():
            described = operating.describe(self.ada.id)
        assert described["second_step"] == account.second_step
        assert described["required"] == account.required
        assert (described["totp"] is not None) == account.has_totp
        assert len(described["passkeys"]) == (account.passkey is not None)
        left = described["recovery_codes"]["left"] if described["recovery_codes"] else 0
        assert left == len(account.codes)

    def methods(self) -> set[str]:
        account = self.account
        there = {"totp": account.has_totp, "passkey": account.passkey is not None}
        return {name for name, is_there in there.items() if is_there} | (
            {"recovery_code"} if account.codes else set()
        )

    def can_give_password(self) -> bool:
        return self.account.active and self.account.password is not None

    def link(self, purpose: Purpose) -> str:
        token = one_time_tokens.issue(self.ada.id, purpose, email=self.address())
        db.session.commit()
        return token

    def address(self) -> str:
        return f"ada{self.addresses}@example.com" if self.addresses else "ada@example.com"


def test_every_history_ends_as_the_model_says(app: Flask) -> None:
    # Each step tries every way in, so a short history has a hundred requests.
    budget = hypothesis.settings()
    if budget.max_examples < LONG:
        budget = hypothesis.settings(max_examples=6, stateful_step_count=12)

    run_state_machine_as_test(type("Machine", (Factors,), {"app": app}), settings=budget)
