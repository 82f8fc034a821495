"""PASSWORD_BREACHED: wherever a password is set, in the list and at Have I Been Pwned."""

import hashlib
import logging
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from prometheus_client import REGISTRY
from werkzeug.test import TestResponse

from app.extensions import db
from app.models import User
from app.security import one_time_tokens
from app.security.one_time_tokens import Purpose
from app.security.outbound import connection as outbound_connection
from app.security.passwords import breached, breached_list_making, breached_range, hashing
from config import SettingsRefused
from tests.factories import API, PASSWORD, bearer, log_in, make_user, refused_fields
from tests.security.outbound.strangers import (
    Behave,
    Stranger,
    answering,
    make_certificate,
    serving,
)

# In the list that ships.
BREACHED = "trustno1bsnide01"
# In no list that ships; some tests let the service know it.
OTHER = "a password of nobody else, 17"

SetSettings = Callable[..., None]
Hibp = Callable[..., Any]


@pytest.fixture
def local(set_settings: SetSettings) -> None:
    set_settings(breached_passwords="local")


def digits(password: str) -> str:
    return hashlib.sha1(password.encode()).hexdigest().upper()


def register(client: FlaskClient, password: str, name: str = "newcomer") -> TestResponse:
    body = {"email": f"{name}@example.com", "username": name, "password": password}
    return client.post(f"{API}/auth/register", json=body)


def change(client: FlaskClient, pair: dict[str, Any], password: str) -> TestResponse:
    return client.post(
        f"{API}/auth/password/change",
        json={"current_password": PASSWORD, "new_password": password},
        headers=bearer(pair["access_token"]),
    )


def reset(client: FlaskClient, token: str, password: str) -> TestResponse:
    body = {"token": token, "new_password": password}
    return client.post(f"{API}/auth/password/reset", json=body)


def token_of(app: Flask, user: User, purpose: Purpose) -> str:
    with app.app_context():
        token = one_time_tokens.issue(user.id, purpose, email=user.email)
        db.session.commit()
    return token


def looked_up(result: str) -> float:
    labels = {"result": result}
    return REGISTRY.get_sample_value("breached_password_look_ups_total", labels) or 0


# Where a password is set


@pytest.mark.usefixtures("local")
def test_it_is_refused_at_registration_with_advice(client: FlaskClient) -> None:
    before = looked_up("breached")

    response = register(client, BREACHED)

    assert response.status_code == 422
    assert refused_fields(response) == {"#/password": "password_breached"}
    assert "words" in response.json["errors"][0]["detail"]
    assert BREACHED not in response.text
    assert looked_up("breached") == before + 1


@pytest.mark.usefixtures("local")
def test_it_is_refused_in_the_language_of_the_client(client: FlaskClient) -> None:
    body = {"email": "n@example.com", "username": "newcomer", "password": BREACHED}
    response = client.post(f"{API}/auth/register", json=body, headers={"Accept-Language": "zh"})

    assert "泄露" in response.json["errors"][0]["detail"]


@pytest.mark.usefixtures("local")
def test_it_is_refused_at_a_change(client: FlaskClient, ada: User) -> None:
    pair = log_in(client, ada)

    response = change(client, pair, BREACHED)

    assert refused_fields(response) == {"#/new_password": "password_breached"}
    log_in(client, ada)


@pytest.mark.usefixtures("local")
@pytest.mark.parametrize(
    "purpose", [Purpose.PASSWORD_RESET, Purpose.ACCOUNT_RECOVERY, Purpose.INVITATION]
)
def test_it_is_refused_for_a_mailed_link_which_stays_valid(
    app: Flask, client: FlaskClient, ada: User, purpose: Purpose
) -> None:
    token = token_of(app, ada, purpose)

    response = reset(client, token, BREACHED)

    assert refused_fields(response) == {"#/new_password": "password_breached"}
    assert reset(client, token, OTHER).status_code == 204


@pytest.mark.usefixtures("local")
def test_it_is_refused_for_an_account_that_an_operator_makes(app: Flask) -> None:
    arguments = ["users", "create", "--email", "n@example.com", "--username", "newcomer"]
    done = app.test_cli_runner().invoke(args=[*arguments, "--password-stdin"], input=BREACHED)

    assert done.exit_code == 1
    assert "password: Is in a list of stolen passwords" in done.stderr


@pytest.mark.usefixtures("local")
def test_it_is_not_looked_up_where_a_password_is_checked(app: Flask, client: FlaskClient) -> None:
    with app.app_context():
        stored = hashing.hash(BREACHED)
    user = make_user(app, username="eve", email="eve@example.com", password_hash=stored)
    before = looked_up("breached")

    pair = log_in(client, user, BREACHED)
    again = client.post(
        f"{API}/auth/reauthenticate",
        json={"password": BREACHED},
        headers=bearer(pair["access_token"]),
    )

    assert again.status_code == 200
    assert looked_up("breached") == before


@pytest.mark.usefixtures("local")
def test_other_passwords_are_accepted(client: FlaskClient) -> None:
    before = looked_up("not_breached")

    assert register(client, OTHER).status_code == 201
    assert looked_up("not_breached") == before + 1


def test_with_off_nothing_is_looked_up(
    client: FlaskClient, set_settings: SetSettings, tmp_path: Path
) -> None:
    set_settings(breached_passwords="off", breached_passwords_file=tmp_path / "missing")

    assert register(client, BREACHED).status_code == 201


@pytest.mark.usefixtures("local")
@pytest.mark.parametrize("password", ["TRUSTNO1bsnide01", "trustno1bsnide01 ", "trustno1bsnide0"])
def test_a_password_that_is_only_similar_is_another_one(client: FlaskClient, password: str) -> None:
    assert register(client, password).status_code == 201


def test_both_spellings_of_a_letter_are_one_password(
    client: FlaskClient, set_settings: SetSettings, tmp_path: Path
) -> None:
    own = tmp_path / "own.bin"
    breached_list_making.make(["Pa\u0308sswort 17".encode()], own, tell=lambda _: None)
    set_settings(breached_passwords="local", breached_passwords_file=own)

    for password in ("Pa\u0308sswort 17", "P\u00e4sswort 17"):
        response = register(client, password)
        assert refused_fields(response) == {"#/password": "password_breached"}


# The start


def test_a_file_that_is_no_list_stops_the_start(
    make_app: Callable[..., Flask], tmp_path: Path
) -> None:
    (tmp_path / "dump.txt").write_text("password1\n")

    with pytest.raises(SettingsRefused) as refused:
        make_app(PASSWORD_BREACHED="local", PASSWORD_BREACHED_FILE=str(tmp_path / "dump.txt"))

    [reason] = refused.value.reasons
    assert reason == (
        f"PASSWORD_BREACHED_FILE: {tmp_path}/dump.txt cannot be used: is not a list that "
        "`flask passwords build-breached` made. To make a list, run "
        "`PASSWORD_BREACHED=off flask passwords build-breached --help`."
    )


def test_a_list_of_ones_own_is_used(make_app: Callable[..., Flask], tmp_path: Path) -> None:
    breached_list_making.make([OTHER.encode()], tmp_path / "own.bin", tell=lambda _: None)
    app = make_app(PASSWORD_BREACHED="local", PASSWORD_BREACHED_FILE=str(tmp_path / "own.bin"))

    response = register(app.test_client(), OTHER)

    assert refused_fields(response) == {"#/password": "password_breached"}


# Have I Been Pwned


@pytest.fixture
def hibp(set_settings: SetSettings) -> Hibp:
    """A server like Have I Been Pwned's, which this application asks."""

    @contextmanager
    def asked(behave: Behave) -> Iterator[Stranger]:
        with serving(behave) as stranger:
            set_settings(
                breached_passwords="hibp",
                breached_passwords_url=f"http://127.0.0.1:{stranger.port}/range",
                outbound_allow=[ip_network("127.0.0.0/8")],
            )
            yield stranger

    return asked


def knowing(**counts: int) -> Behave:
    """Answers with these hashes, among others and padding."""
    lines = [f"{'0' * 34}A:3", f"{'F' * 35}:0"]
    lines += [f"{name}:{count}" for name, count in counts.items()]
    return answering("\r\n".join(sorted(lines)).encode())


def test_the_service_sees_five_digits_and_knows_the_password(
    client: FlaskClient, hibp: Hibp
) -> None:
    with hibp(knowing(**{digits(OTHER)[5:]: 1})) as stranger:
        response = register(client, OTHER)

    [request] = stranger.requests
    assert refused_fields(response) == {"#/password": "password_breached"}
    assert request.startswith(f"GET /range/{digits(OTHER)[:5]} HTTP/1.1\r\n".encode())
    assert b"\r\nAdd-Padding: true\r\n" in request
    assert b"\r\nUser-Agent: " in request
    assert digits(OTHER)[5:].encode() not in request
    assert OTHER.encode() not in request


def test_a_hash_that_is_only_padding_is_not_breached(client: FlaskClient, hibp: Hibp) -> None:
    with hibp(knowing(**{digits(OTHER)[5:]: 0})):
        assert register(client, OTHER).status_code == 201


def test_a_hash_that_is_not_in_the_answer_is_not_breached(client: FlaskClient, hibp: Hibp) -> None:
    before = looked_up("not_breached")

    with hibp(knowing()):
        assert register(client, OTHER).status_code == 201

    assert looked_up("not_breached") == before + 1


def test_the_service_is_not_asked_about_what_the_list_knows(
    client: FlaskClient, hibp: Hibp
) -> None:
    with hibp(knowing()) as stranger:
        assert register(client, BREACHED).status_code == 422

    assert stranger.requests == []


def slow(connection: socket.socket, _request: bytes) -> None:
    connection.recv(1)


@pytest.mark.parametrize(
    "behave",
    [
        answering(b"", "503 Service Unavailable"),
        answering(f"{digits(OTHER)[5:]}:1".encode(), "500 Internal Server Error"),
        answering(b"", "429 Too Many Requests", "Retry-After: 2"),
        answering(b"", "302 Found", "Location: http://127.0.0.1:1/"),
        answering(b""),
        answering(b"<html>Welcome to our hotel</html>"),
        answering(b"x" * 300_000),
        lambda connection, _: connection.close(),
        slow,
    ],
    ids=[
        "down",
        "broken",
        "too many",
        "redirect",
        "empty",
        "a portal",
        "too big",
        "hung up",
        "slow",
    ],
)
def test_a_service_that_is_away_does_not_stop_anybody(
    client: FlaskClient,
    hibp: Hibp,
    behave: Behave,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(breached_range, "SECONDS", 0.5)
    before = looked_up("unavailable")

    with caplog.at_level(logging.WARNING), hibp(behave):
        began = time.monotonic()
        response = register(client, OTHER)
        took = time.monotonic() - began

    [line] = [r.getMessage() for r in caplog.records if "PASSWORD_BREACHED_URL" in r.getMessage()]
    assert response.status_code == 201
    assert took < 5
    assert looked_up("unavailable") == before + 1
    assert digits(OTHER)[:5] not in line
    assert OTHER not in caplog.text


def test_two_seconds_are_enough_for_the_service() -> None:
    assert breached_range.SECONDS == 2


def test_no_connection_of_the_database_waits_for_the_service(
    app: Flask, client: FlaskClient, ada: User, hibp: Hibp
) -> None:
    """Otherwise a slow service would use up the pool, and nobody could log in."""
    with app.app_context():
        pool: Any = db.engine.pool
    taken: list[int] = []

    def watch(connection: socket.socket, request: bytes) -> None:
        taken.append(pool.checkedout())
        knowing()(connection, request)

    token = token_of(app, ada, Purpose.PASSWORD_RESET)
    pair = log_in(client, ada)
    with hibp(watch):
        statuses = [
            register(client, OTHER).status_code,
            change(client, pair, OTHER).status_code,
            reset(client, token, OTHER + "!").status_code,
        ]

    assert statuses == [201, 200, 400]
    assert taken == [0, 0, 0]


@pytest.mark.usefixtures("ada")
def test_the_service_is_asked_before_anybody_is_looked_for(
    client: FlaskClient, hibp: Hibp, statements: list[str]
) -> None:
    """So neither the answer nor its time tells whether somebody has an account."""
    asked_after: list[int] = []

    def watch(connection: socket.socket, request: bytes) -> None:
        asked_after.append(len(statements))
        knowing()(connection, request)

    with hibp(watch):
        for name in ("ada", "newcomer"):
            statements.clear()
            register(client, OTHER, name)
            assert statements

    assert asked_after == [0, 0]


def test_the_service_is_asked_by_tls(
    client: FlaskClient,
    set_settings: SetSettings,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    certificate = make_certificate(tmp_path, "127.0.0.1")
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    outbound_connection.tls.cache_clear()
    known = knowing(**{digits(OTHER)[5:]: 7})
    with serving(known, certificate=certificate) as stranger:
        set_settings(
            breached_passwords="hibp",
            breached_passwords_url=f"https://127.0.0.1:{stranger.port}/range",
            outbound_allow=[ip_network("127.0.0.1")],
        )
        response = register(client, OTHER)
    outbound_connection.tls.cache_clear()

    assert refused_fields(response) == {"#/password": "password_breached"}


def test_the_service_is_asked_through_the_guard(
    client: FlaskClient, set_settings: SetSettings
) -> None:
    before = looked_up("unavailable")
    with serving(knowing(**{digits(OTHER)[5:]: 7})) as stranger:
        url = f"https://127.0.0.1:{stranger.port}/range"
        set_settings(breached_passwords="hibp", breached_passwords_url=url)

        assert register(client, OTHER).status_code == 201

    assert stranger.connections == 0
    assert looked_up("unavailable") == before + 1


def test_workers_share_the_list(app: Flask, local: None) -> None:
    """Threads use it at once, and each look-up is right."""
    results: list[bool] = []

    def look_up() -> None:
        with app.app_context():
            results.extend(
                breached.is_breached(BREACHED) and not breached.is_breached(OTHER)
                for _ in range(200)
            )

    threads = [threading.Thread(target=look_up) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert results == [True] * 800
