"""What becomes of the rows of second factors: export, erasure, pruning, copying, counting."""

from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any
from uuid import uuid4

import flask_migrate
import pytest
import time_machine
from flask import Flask
from flask.testing import FlaskClient
from prometheus_client import REGISTRY

from app import clock as app_clock
from app import create_app, read_settings
from app.auth.login import throttle
from app.auth.mfa.models import MfaTicket
from app.auth.mfa.recovery_codes.models import RecoveryCode
from app.auth.mfa.remembered_devices.models import RememberedDevice
from app.auth.mfa.totp.models import TotpFactor
from app.auth.passkeys.models import Passkey, PasskeyHandle, SpentCeremony
from app.extensions import db
from app.models import LoginThrottle, User
from app.users import closing
from tests.auth.mfa.phone import Phone, enrol, give_password, go_on, ticket_of
from tests.conftest import ENVIRONMENT, HAS_POSTGRES, new_postgres_database
from tests.factories import API, bearer, log_in, problem

OF_USERS = (MfaTicket, TotpFactor, RecoveryCode, RememberedDevice, Passkey, PasskeyHandle)


def add_passkey(app: Flask, user: User) -> None:
    with app.app_context():
        db.session.add_all(
            [
                PasskeyHandle(user_id=user.id, handle=b"h" * 32),
                Passkey(
                    user_id=user.id,
                    credential_id=b"\x00\xffc",
                    public_key=b"\x00\xffk",
                    algorithm=-7,
                    sign_count=2**32,
                    rp_id="localhost",
                    aaguid=uuid4(),
                    transports="internal hybrid",
                    verifies_user=True,
                    synced=False,
                    name="Ada's key",
                    created_at=app_clock.now(),
                ),
                SpentCeremony(
                    ceremony_hash="0" * 64, expires_at=app_clock.now() + timedelta(minutes=5)
                ),
            ]
        )
        db.session.commit()


@pytest.fixture
def phone(app: Flask, client: FlaskClient, ada: User) -> Phone:
    """Ada has everything: an app, codes, a passkey, a remembered device, a waiting login."""
    phone = enrol(client, ada)
    go_on(client, ticket_of(client, ada), otp=phone.code(), remember_device=True)
    add_passkey(app, ada)
    ticket_of(client, ada)
    assert all(count(app, model) for model in OF_USERS)
    return phone


def count(app: Flask, model: Any) -> int:
    with app.app_context():
        return db.session.scalar(db.select(db.func.count()).select_from(model)) or 0


def prune(app: Flask) -> str:
    result = app.test_cli_runner().invoke(args=["prune"])
    assert result.exit_code == 0, result.output
    return result.output


# Export


def test_the_export_has_them_without_their_secrets(
    app: Flask, client: FlaskClient, ada: User, phone: Phone
) -> None:
    headers = bearer(phone.access_token)
    with app.app_context():
        secrets = [
            *db.session.scalars(db.select(TotpFactor.sealed_secret)),
            *db.session.scalars(db.select(RecoveryCode.code_hash)),
            *db.session.scalars(db.select(RememberedDevice.token_hash)),
            *db.session.scalars(db.select(MfaTicket.token_hash)),
            *db.session.scalars(db.select(MfaTicket.account_mark)),
            *(phone.secret, *phone.recovery_codes),
        ]

    export = client.get(f"{API}/users/me/export", headers=headers)

    held = export.json
    assert held["second_step_at"] == "2026-11-27T12:00:15Z"
    assert held["totp"].keys() == {"created_at", "confirmed_at"}
    assert len(held["recovery_codes"]) == 10
    assert [device["user_agent"] for device in held["remembered_devices"]] == ["Werkzeug/3.1.9"]
    assert [key["name"] for key in held["passkeys"]] == ["Ada's key"]
    assert {ticket["signed_in_by"] for ticket in held["mfa_tickets"]} == {"password"}
    assert held["mfa_tickets"][0]["amr"] == ["pwd"]
    assert {(session["aal"], *session["amr"]) for session in held["sessions"]} == {
        (2, "pwd", "otp", "mfa")
    }
    assert [secret for secret in secrets if secret in export.text] == []


def test_the_export_of_somebody_else_has_nothing_of_it(
    client: FlaskClient, bob: User, phone: Phone
) -> None:
    token = log_in(client, bob)["access_token"]

    held = client.get(f"{API}/users/me/export", headers=bearer(token)).json

    assert held["totp"] is held["second_step_at"] is None
    assert held["recovery_codes"] == held["passkeys"] == held["remembered_devices"] == []


# Erasure


@pytest.mark.usefixtures("phone")
def test_erasing_an_account_erases_them_and_the_counts_of_wrong_codes(
    app: Flask, client: FlaskClient, ada: User, set_settings: Callable[..., None]
) -> None:
    set_settings(ratelimit_enabled=True)
    wrong = go_on(client, ticket_of(client, ada), otp="000000")
    assert problem(wrong) == (403, "wrong_factor")
    assert count(app, LoginThrottle) > 0

    with app.app_context():
        closing.erase(db.session.get_one(User, ada.id), actor=None)

    assert {model.__name__: count(app, model) for model in (*OF_USERS, LoginThrottle)} == {
        model.__name__: 0 for model in (*OF_USERS, LoginThrottle)
    }


def test_a_new_password_forgets_no_wrong_codes(
    app: Flask, client: FlaskClient, ada: User, phone: Phone, set_settings: Callable[..., None]
) -> None:
    """Whoever reads the mailbox could otherwise guess on."""
    set_settings(ratelimit_enabled=True)
    go_on(client, ticket_of(client, ada), otp="000000")
    before = count(app, LoginThrottle)

    with app.app_context():
        throttle.clear(db.session.get_one(User, ada.id), throttle.Kind.PASSWORD)
        db.session.commit()

    assert count(app, LoginThrottle) == before > 0


# Pruning


@pytest.mark.usefixtures("phone")
def test_pruning_removes_what_is_over_and_nothing_else(
    app: Flask, clock: time_machine.Traveller
) -> None:
    prune(app)
    assert all(count(app, model) for model in (*OF_USERS, SpentCeremony))

    clock.shift(timedelta(minutes=5, seconds=1))
    output = prune(app)

    assert "Removed 1 passkey ceremonies." in output
    # The wrong tries of a ticket count for a day.
    assert (count(app, MfaTicket), count(app, SpentCeremony)) == (2, 0)
    clock.shift(timedelta(days=1))
    prune(app)
    assert (count(app, MfaTicket), count(app, RememberedDevice)) == (0, 1)
    clock.shift(timedelta(days=31))
    prune(app)
    assert count(app, RememberedDevice) == 0
    # A confirmed factor stays, however old it is.
    assert (count(app, TotpFactor), count(app, RecoveryCode), count(app, Passkey)) == (1, 10, 1)


def test_a_secret_that_nobody_confirmed_goes_after_a_day(
    app: Flask, client: FlaskClient, ada: User, clock: time_machine.Traveller
) -> None:
    token = log_in(client, ada)["access_token"]
    assert client.post(f"{API}/auth/factors/totp", headers=bearer(token)).status_code == 201

    clock.shift(timedelta(days=1))
    prune(app)
    assert count(app, TotpFactor) == 1

    clock.shift(1)
    assert "Removed 1 unconfirmed authenticator apps." in prune(app)
    assert count(app, TotpFactor) == 0


# Copying


@pytest.fixture(params=["sqlite", "postgresql"])
def target(request: pytest.FixtureRequest, tmp_path: Any) -> Iterator[Flask]:
    """An application on an empty database of either kind."""
    if request.param == "postgresql" and not HAS_POSTGRES:
        pytest.skip("no PostgreSQL")
    if request.param == "sqlite":
        yield from _made(f"sqlite:///{tmp_path / 'target.db'}")
        return
    with new_postgres_database() as url:
        yield from _made(url)


def _made(url: str) -> Iterator[Flask]:
    app = create_app(read_settings(ENVIRONMENT | {"DATABASE_URL": url}))
    with app.app_context():
        flask_migrate.upgrade()
    yield app
    with app.app_context():
        db.engine.dispose()


def test_db_copy_copies_them_and_they_work_there(
    app: Flask, target: Flask, ada: User, phone: Phone
) -> None:
    with target.app_context():
        url = db.engine.url.render_as_string(hide_password=False)

    result = app.test_cli_runner().invoke(args=["db-copy", "--to", url])

    assert result.exit_code == 0, result.output
    for model in (*OF_USERS, SpentCeremony):
        assert rows(target, model) == rows(app, model) != []
    there = target.test_client()
    assert give_password(there, ada, recovery_code=phone.recovery_codes[0]).status_code == 200
    assert problem(give_password(there, ada, otp=phone.code())) == (403, "wrong_factor")


def rows(app: Flask, model: Any) -> list[tuple[Any, ...]]:
    with app.app_context():
        found = db.session.execute(db.select(model.__table__))
        return sorted(map(tuple, found), key=repr)


# Metrics


def results() -> dict[tuple[str, str], float]:
    """How many proofs were counted, by kind and result."""
    return {
        (sample.labels["method"], sample.labels["result"]): sample.value
        for family in REGISTRY.collect()
        for sample in family.samples
        if sample.name == "mfa_total"
    }


@pytest.fixture
def counted() -> Callable[[], dict[tuple[str, str], float]]:
    """What was counted since the fixture was made."""
    before = results()
    return lambda: {
        key: value - before.get(key, 0)
        for key, value in results().items()
        if value != before.get(key, 0)
    }


Counted = Callable[[], dict[tuple[str, str], float]]


def test_each_proof_is_counted_by_its_result(
    counted: Counted, client: FlaskClient, ada: User, set_settings: Callable[..., None]
) -> None:
    phone = enrol(client, ada)
    headers = bearer(phone.access_token)
    give_password(client, ada, otp=phone.code())
    go_on(client, ticket_of(client, ada), recovery_code=phone.recovery_codes[0])
    give_password(client, ada, otp="000000")
    client.post(f"{API}/auth/reauthenticate", json={"otp": "000000"}, headers=headers)
    # Nothing was proved or tried by these.
    give_password(client, ada)
    go_on(client, "unknown", otp=phone.code())

    assert counted() == {
        ("totp", "right"): 2,
        ("totp", "wrong"): 2,
        ("recovery_code", "right"): 1,
    }


def test_a_proof_that_was_throttled_is_counted_as_that(
    counted: Counted, client: FlaskClient, ada: User, set_settings: Callable[..., None]
) -> None:
    enrol(client, ada)
    set_settings(ratelimit_enabled=True)

    answers = [give_password(client, ada, otp="000000").status_code for _ in range(7)]

    assert answers == [403] * 5 + [429] * 2
    assert counted() == {
        ("totp", "right"): 1,
        ("totp", "wrong"): 5,
        ("totp", "throttled"): 2,
    }
