"""Sessions as a state machine, beside a model of what they promise.

Hypothesis drives logins, refreshes with tokens of every age, logouts of every
scope, deactivation and the passing of time, and after each step compares
what the tokens are answered with what the model says. ``make fuzz`` runs it
for long.
"""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import jwt
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

from app import clock
from app.administration import accounts
from app.extensions import db
from app.models import Session, User
from tests.factories import API, PASSWORD, bearer, log_in, make_user, me, problem, refresh

WINDOW = timedelta(seconds=10)
LATE_RETRY = timedelta(hours=24)
IDLE = timedelta(days=14)
MAX_AGE = timedelta(days=30)
ACCESS = timedelta(minutes=15)
CAP = 3
# Seconds before a token is presented again: around the window, and around the day.
WAITS = (0, 1, 9, 10, 11, 3600, 43_200, 86_389, 86_400)


@dataclass
class Device:
    """What the model knows of one session."""

    refresh_token: str
    access_token: str
    access_until: datetime
    logged_in_at: datetime
    refreshed_at: datetime
    # The token before the current one, and when that was superseded first.
    previous: str | None = None
    rotated_at: datetime | None = None
    # Those further back, and the unused ones that a late retry replaced.
    older: list[str] = field(default_factory=list)
    # Access and refresh tokens from before a change of the password.
    dead_access: list[tuple[str, datetime]] = field(default_factory=list)
    dead: list[str] = field(default_factory=list)
    ended: bool = False

    @property
    def expires_at(self) -> datetime:
        return min(self.refreshed_at + IDLE, self.logged_in_at + MAX_AGE)

    @property
    def superseded(self) -> list[str]:
        return [*self.older, *([self.previous] if self.previous else [])]

    def take(self, pair: dict[str, Any]) -> None:
        """Go on with a pair that was given just now."""
        self.refreshed_at = clock.now()
        self.refresh_token, self.access_token = pair["refresh_token"], pair["access_token"]
        self.access_until = min(clock.now() + ACCESS, self.expires_at)


class Sessions(RuleBasedStateMachine):
    app: Flask
    url = f"{API}/auth"

    def __init__(self) -> None:
        super().__init__()
        self.client = self.app.test_client()
        self.travel = time_machine.travel(clock.now().replace(microsecond=0), tick=False)
        self.time = self.travel.start()
        self.ada = make_user(self.app, username="ada", email="ada@example.com")
        self.password = PASSWORD
        self.devices: list[Device] = []

    def teardown(self) -> None:
        self.travel.stop()
        with self.app.app_context():
            db.session.execute(sqlalchemy.delete(User))
            db.session.commit()

    # What the model says

    def is_live(self, device: Device) -> bool:
        return not device.ended and clock.now() < device.expires_at

    def living(self) -> list[Device]:
        return [device for device in self.devices if self.is_live(device)]

    def pick(self, data: Any, *, among: list[Device] | None = None) -> Device:
        device: Device = data.draw(st.sampled_from(among or self.devices))
        return device

    def pass_time(self, span: timedelta) -> None:
        self.time.shift(span)

    # What people do

    @rule()
    def log_in(self) -> None:
        self.pass_time(timedelta(seconds=1))
        by_idleness = sorted(self.living(), key=lambda device: device.refreshed_at)
        for surplus in by_idleness[: max(0, len(by_idleness) - CAP + 1)]:
            surplus.ended = True

        pair = log_in(self.client, self.ada, self.password)

        now = clock.now()
        self.devices.append(
            Device(pair["refresh_token"], pair["access_token"], now + ACCESS, now, now)
        )

    @precondition(lambda self: self.devices)
    @rule(data=st.data())
    def refresh_with_the_current_token(self, data: Any) -> None:
        self.pass_time(timedelta(seconds=1))
        device = self.pick(data)

        answer = refresh(self.client, device.refresh_token)

        if not self.is_live(device):
            assert problem(answer) == (401, "invalid_refresh_token")
            return
        assert answer.status_code == 200
        assert answer.json["refresh_token"] not in [device.refresh_token, *device.superseded]
        device.older = device.superseded
        device.previous, device.rotated_at = device.refresh_token, clock.now()
        device.take(answer.json)

    @precondition(lambda self: any(d.previous for d in self.devices))
    @rule(data=st.data(), waits=st.lists(st.sampled_from(WAITS), min_size=1, max_size=3))
    def repeat_the_last_refresh(self, data: Any, waits: list[int]) -> None:
        """As a client whose answer was lost does, or a thief with the token before."""
        device = self.pick(data, among=[d for d in self.devices if d.previous])
        for wait in waits:
            self.pass_time(timedelta(seconds=wait))
            self.repeat(device)

    def repeat(self, device: Device) -> None:
        assert device.previous
        assert device.rotated_at
        answer = refresh(self.client, device.previous)

        if not self.is_live(device) or has_expired(device.previous):
            # A token that has itself expired proves nothing, and ends nothing.
            assert problem(answer) == (401, "invalid_refresh_token")
        elif clock.now() < device.refreshed_at + WINDOW:
            assert answer.status_code == 200
            assert answer.json["refresh_token"] == device.refresh_token
            assert me(self.client, answer.json["access_token"]).status_code == 200
        elif clock.now() < device.rotated_at + LATE_RETRY:
            assert answer.status_code == 200
            assert answer.json["refresh_token"] not in [device.refresh_token, *device.superseded]
            # Whoever has the successor that nobody presented is caught with it.
            device.older.append(device.refresh_token)
            device.take(answer.json)
        else:
            assert problem(answer) == (401, "refresh_token_reused")
            device.ended = True

    @precondition(lambda self: any(d.older for d in self.devices))
    @rule(data=st.data())
    def replay_an_older_token(self, data: Any) -> None:
        device = self.pick(data, among=[d for d in self.devices if d.older])
        older = data.draw(st.sampled_from(device.older))

        answer = refresh(self.client, older)

        if not self.is_live(device) or has_expired(older):
            assert problem(answer) == (401, "invalid_refresh_token")
        else:
            assert problem(answer) == (401, "refresh_token_reused")
            device.ended = True

    @precondition(lambda self: self.devices)
    @rule(data=st.data(), scope=st.sampled_from(["local", "others", "global"]))
    def log_out(self, data: Any, scope: str) -> None:
        device = self.pick(data)
        works = self.is_live(device) and clock.now() < device.access_until

        answer = self.client.post(
            f"{self.url}/logout?scope={scope}", headers=bearer(device.access_token)
        )

        assert answer.status_code == (204 if works else 401)
        if works:
            for other in self.devices:
                if scope == "global" or (other is device) == (scope == "local"):
                    other.ended = True

    @precondition(lambda self: self.devices)
    @rule(data=st.data())
    def log_out_with_any_refresh_token(self, data: Any) -> None:
        device = self.pick(data)
        token = data.draw(st.sampled_from([device.refresh_token, *device.superseded]))

        answer = self.client.post(f"{self.url}/logout", json={"refresh_token": token})

        assert answer.status_code == 204
        device.ended = True

    @precondition(lambda self: self.usable())
    @rule(data=st.data())
    def end_a_session_from_another(self, data: Any) -> None:
        headers = bearer(self.pick(data, among=self.usable()).access_token)
        listed = self.client.get(f"{self.url}/sessions", headers=headers).json["items"]
        assert len(listed) == len(self.living())
        ended = data.draw(st.sampled_from(listed))

        answer = self.client.delete(f"{self.url}/sessions/{ended['id']}", headers=headers)

        assert answer.status_code == 204
        (device,) = [d for d in self.living() if self.id_of(d) == ended["id"]]
        device.ended = True

    @precondition(lambda self: self.usable())
    @rule(data=st.data())
    def change_the_password(self, data: Any) -> None:
        device = self.pick(data, among=self.usable())
        body = {"current_password": self.password, "new_password": self.password + "!"}

        answer = self.client.post(
            f"{self.url}/password/change", json=body, headers=bearer(device.access_token)
        )

        assert answer.status_code == 200
        self.password = body["new_password"]
        for other in self.devices:
            other.ended = other.ended or other is not device
        device.dead_access.append((device.access_token, device.access_until))
        device.dead += [device.refresh_token, *device.superseded]
        device.older, device.previous, device.rotated_at = [], None, None
        device.take(answer.json)
        # At once, as most sessions do not live for long here.
        self.present_a_dead_token(device, data)

    @precondition(lambda self: any(d.dead for d in self.devices))
    @rule(data=st.data())
    def present_a_token_from_before_a_change_of_the_password(self, data: Any) -> None:
        self.present_a_dead_token(self.pick(data, among=[d for d in self.devices if d.dead]), data)

    def present_a_dead_token(self, device: Device, data: Any) -> None:
        """It is refused, and ends nothing: the invariants find the session as it was."""
        token = data.draw(st.sampled_from(device.dead))
        call = data.draw(st.sampled_from(["refresh", "logout", "revoke"]))

        if call == "refresh":
            answer = refresh(self.client, token)
            assert problem(answer) == (401, "invalid_refresh_token")
        elif call == "logout":
            answer = self.client.post(f"{self.url}/logout", json={"refresh_token": token})
            assert answer.status_code == (401 if self.is_live(device) else 204)
            device.ended = device.ended or not self.is_live(device)
        else:
            answer = self.client.post(f"{self.url}/revoke", data={"token": token})
            assert answer.status_code == 200

    @rule()
    def deactivate_and_activate(self) -> None:
        with self.app.app_context():
            accounts.set_active(self.ada.email, False)
            accounts.set_active(self.ada.email, True)
        for device in self.devices:
            device.ended = True

    @rule(span=st.sampled_from([{"seconds": 5}, {"minutes": 14}, {"days": 6}, {"days": 13}]))
    def wait(self, span: dict[str, int]) -> None:
        self.pass_time(timedelta(**span))

    # What always holds

    @invariant()
    def access_tokens_work_while_their_session_lives(self) -> None:
        for device in self.devices:
            answer = me(self.client, device.access_token)
            if clock.now() >= device.access_until:
                assert problem(answer) == (401, "token_expired")
            elif self.is_live(device):
                assert answer.status_code == 200
            else:
                assert problem(answer) == (401, "session_ended")

    @invariant()
    def access_tokens_from_before_a_change_of_the_password_never_do(self) -> None:
        for device in self.devices:
            for token, until in device.dead_access:
                code = "session_ended" if clock.now() < until else "token_expired"
                assert problem(me(self.client, token)) == (401, code)

    @invariant()
    def a_living_session_has_one_good_refresh_token(self) -> None:
        with self.app.app_context():
            rows = db.session.scalars(sqlalchemy.select(Session)).all()
        living = {str(row.id): row for row in rows if row.is_live}
        assert set(living) == {self.id_of(device) for device in self.living()}
        for device in self.living():
            current = claims(device.refresh_token)
            assert str(living[self.id_of(device)].refresh_jti) == current["jti"]

    def usable(self) -> list[Device]:
        return [d for d in self.living() if clock.now() < d.access_until]

    def id_of(self, device: Device) -> str:
        return str(claims(device.refresh_token)["sid"])


def has_expired(token: str) -> bool:
    return bool(claims(token)["exp"] <= clock.now().timestamp())


def claims(token: str) -> dict[str, Any]:
    decoded: dict[str, Any] = jwt.decode(token, options={"verify_signature": False})
    return decoded


def test_every_history_ends_as_the_model_says(app: Flask, set_settings: Any) -> None:
    set_settings(max_sessions_per_user=CAP)

    run_state_machine_as_test(type("Machine", (Sessions,), {"app": app}))
