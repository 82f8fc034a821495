"""429: how often one network may call."""

import logging
import math
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
import time_machine
from flask import Flask, abort
from flask.testing import FlaskClient
from limits import parse_many
from prometheus_client import REGISTRY
from werkzeug.test import TestResponse

from app.access import limit_storage, limits
from app.doctor import deployment_warnings
from app.extensions import db
from app.models import LoginThrottle, User
from tests.factories import API, PASSWORD, bearer, log_in, me, problem
from tests.own_redis import OwnRedis, own_redis

SPOOFABLE = ("X-Forwarded-For", "Forwarded", "X-Real-IP", "CF-Connecting-IP", "True-Client-IP")

# call: the setting whose number it spends
LIMITED = {
    "POST auth/register": "ratelimit_register",
    "POST auth/login": "ratelimit_login",
    "POST auth/refresh": "ratelimit_token",
    "POST auth/token": "ratelimit_token",
    "POST auth/revoke": "ratelimit_token",
    "POST auth/reauthenticate": "ratelimit_login",
    "POST auth/password/change": "ratelimit_login",
    "POST auth/password/forgot": "ratelimit_mail",
    "POST auth/password/reset": "ratelimit_token",
    "POST auth/not-me": "ratelimit_token",
    "POST auth/email/resend": "ratelimit_mail",
    "POST auth/email/verify": "ratelimit_token",
    "POST auth/email/change": "ratelimit_mail",
    "POST auth/email/change/confirm": "ratelimit_token",
    "POST auth/email/change/cancel": "ratelimit_token",
    "DELETE users/me": "ratelimit_login",
    "PUT users/me": "ratelimit_writes",
    "PATCH users/me": "ratelimit_writes",
    "GET users/me/export": "ratelimit_writes",
    "POST auth/keys": "ratelimit_writes",
    "PATCH auth/keys/{key_id}": "ratelimit_writes",
    "POST auth/keys/{key_id}/rotate": "ratelimit_writes",
    "POST auth/providers/{name}/nonce": "ratelimit_token",
    "POST auth/providers/{name}/id-token": "ratelimit_login",
    "DELETE auth/identities/{identity_id}": "ratelimit_writes",
    "POST auth/password/set": "ratelimit_writes",
}
# Of second factors; tests/auth/mfa has the tests.
OF_FACTORS = {
    "POST auth/mfa/passkey-options",
    "POST auth/passkeys/login-options",
    "POST auth/passkeys/login",
    "PUT auth/factors/second-step",
    "POST auth/factors/totp",
    "POST auth/factors/totp/confirm",
    "DELETE auth/factors/totp",
    "POST auth/factors/recovery-codes",
    "POST auth/passkeys/options",
    "POST auth/passkeys",
    "PATCH auth/passkeys/{passkey_id}",
    "DELETE auth/passkeys/{passkey_id}",
    "POST auth/reauthenticate/passkey-options",
    "POST auth/mfa",
}
# Limited by network and by user.
ALSO_WRITES = ("POST auth/password/change", "POST auth/email/change", "DELETE users/me")
SIGNED_IN = (
    *("reauthenticate", "password/change", "password/set", "email/change"),
    *("users/me", "users/me/export", "auth/keys", "{key_id}", "{key_id}/rotate", "{identity_id}"),
)
# Nobody's.
VARIABLES = {"key_id": UUID(int=0), "identity_id": 0, "name": "acme"}

SetLimits = Callable[..., None]


@pytest.fixture
def set_limits(app: Flask, set_settings: Callable[..., None]) -> SetLimits:
    """Turn the limits on, generous but for those given."""
    app.extensions["limits"].storage.reset()
    generous = dict.fromkeys(
        ("login", "login_failures", "register", "mail", "mail_per_address", "token", "writes"),
        "100000 per hour",
    )

    def change(**numbers: str) -> None:
        chosen = {
            f"ratelimit_{name}": parse_many(text) for name, text in (generous | numbers).items()
        }
        set_settings(ratelimit_enabled=True, **chosen)

    return change


@pytest.fixture
def default_limits(app: Flask, set_settings: Callable[..., None]) -> None:
    app.extensions["limits"].storage.reset()
    set_settings(ratelimit_enabled=True)


def call(
    client: FlaskClient, name: str, token: str = "", peer: str = "192.0.2.7", **body: Any
) -> TestResponse:
    method, path = name.split()
    headers = bearer(token) if token else {}
    return client.open(
        f"{API}/{path.format_map(VARIABLES)}",
        method=method,
        headers=headers,
        json=body,
        environ_base={"REMOTE_ADDR": peer},
    )


def guess(
    client: FlaskClient, username: str, peer: str = "192.0.2.7", **headers: str
) -> TestResponse:
    return client.post(
        f"{API}/auth/login",
        json={"username": username, "password": "password1"},
        headers=headers,
        environ_base={"REMOTE_ADDR": peer},
    )


def statuses(responses: Iterator[TestResponse]) -> list[int]:
    return [response.status_code for response in responses]


def events(event: str) -> float:
    return REGISTRY.get_sample_value("security_events_total", {"event": event}) or 0


# Which calls, and what by default


@pytest.mark.parametrize("name", LIMITED)
def test_each_has_its_limit(
    client: FlaskClient, ada: User, set_limits: SetLimits, name: str
) -> None:
    token = log_in(client, ada)["access_token"] if name.endswith(SIGNED_IN) else ""
    set_limits(**{LIMITED[name].removeprefix("ratelimit_"): "2 per hour"})

    answers = [call(client, name, token) for _ in range(3)]

    assert problem(answers[2]) == (429, "rate_limited")
    assert 429 not in statuses(iter(answers[:2]))


@pytest.mark.parametrize("name", ALSO_WRITES)
def test_what_costs_a_password_or_a_mail_is_a_write_as_well(
    client: FlaskClient, ada: User, set_limits: SetLimits, name: str
) -> None:
    token = log_in(client, ada)["access_token"]
    set_limits(writes="1 per hour")
    call(client, name, token)

    assert problem(call(client, name, token, peer="203.0.113.9")) == (429, "rate_limited")


def test_writes_are_counted_for_the_user_and_from_everywhere(
    client: FlaskClient, ada: User, bob: User, set_limits: SetLimits
) -> None:
    adas, bobs = (log_in(client, user)["access_token"] for user in (ada, bob))
    set_limits(writes="2 per hour")
    for peer in ("192.0.2.7", "203.0.113.9"):
        call(client, "PATCH users/me", adas, peer=peer)

    refused = call(client, "PUT users/me", adas, peer="198.51.100.4")
    of_another = call(client, "PATCH users/me", bobs)

    assert problem(refused) == (429, "rate_limited")
    assert 0 < int(refused.headers["Retry-After"]) <= 3600
    assert of_another.status_code == 200
    assert me(client, adas).status_code == 200


def test_by_default_a_user_may_write_120_times_a_minute(
    client: FlaskClient, ada: User, default_limits: None
) -> None:
    with time_machine.travel("2026-11-22T08:00:00Z", tick=False):
        token = log_in(client, ada)["access_token"]
        answers = statuses(call(client, "PATCH users/me", token) for _ in range(121))

    assert answers.index(429) == 120


def test_no_other_call_pays_for_the_limits(
    app: Flask,
    client: FlaskClient,
    ada: User,
    set_limits: SetLimits,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    token = log_in(client, ada)["access_token"]
    set_limits()

    def count(*_: Any, **__: Any) -> None:
        pytest.fail("counted")

    monkeypatch.setattr(limit_storage.BoundedMemoryStorage, "take", count)

    for path in ("/healthz", "/readyz", "/docs", f"{API}/users/me", f"{API}/auth/sessions"):
        client.get(path, headers=bearer(token), buffered=True)


def test_the_openapi_document_names_429_where_it_is_enforced(client: FlaskClient) -> None:
    paths = client.get("/openapi.json").json["paths"]

    documented = {
        f"{method.upper()} {path.removeprefix(f'{API}/')}"
        for path, methods in paths.items()
        for method, operation in methods.items()
        if method != "parameters" and "429" in operation["responses"]
    }
    assert documented == LIMITED.keys() | OF_FACTORS


@pytest.mark.parametrize(
    ("name", "most"),
    [
        ("POST auth/register", 30),
        ("POST auth/login", 60),
        ("POST auth/refresh", 120),
        ("POST auth/password/forgot", 30),
    ],
)
def test_the_defaults_are_those_of_the_documentation(
    client: FlaskClient, default_limits: None, name: str, most: int
) -> None:
    with time_machine.travel("2026-11-22T08:00:00Z", tick=False):
        answers = statuses(call(client, name) for _ in range(most + 1))

    assert answers.index(429) == most


def test_switched_off_nothing_is_refused(
    app: Flask, client: FlaskClient, ada: User, set_settings: Callable[..., None]
) -> None:
    set_settings(ratelimit_enabled=False)

    answers = statuses(guess(client, "ada") for _ in range(120))

    assert set(answers) == {401}
    with app.app_context():
        assert db.session.query(LoginThrottle).count() == 0


# How it answers


def test_the_answer_says_how_long_to_wait(client: FlaskClient, set_limits: SetLimits) -> None:
    set_limits(token="2 per minute")
    with time_machine.travel("2026-11-22T08:00:00Z", tick=False) as traveller:
        call(client, "POST auth/refresh")
        traveller.shift(timedelta(seconds=20.5))
        call(client, "POST auth/refresh")

        refused = call(client, "POST auth/refresh")
        wait = int(refused.headers["Retry-After"])
        traveller.shift(timedelta(seconds=wait - 1))
        too_soon = call(client, "POST auth/refresh")
        traveller.shift(timedelta(seconds=1))
        in_time = call(client, "POST auth/refresh")

    assert problem(refused) == (429, "rate_limited")
    assert wait == math.ceil(60 - 20.5)
    assert refused.headers["Cache-Control"] == "no-store"
    assert too_soon.status_code == 429
    assert int(too_soon.headers["Retry-After"]) == 1
    assert in_time.status_code != 429


def test_an_oauth_client_reads_the_429_as_an_error(
    client: FlaskClient, set_limits: SetLimits
) -> None:
    set_limits(token="1 per hour")
    form = {"grant_type": "refresh_token", "refresh_token": "x"}
    client.post(f"{API}/auth/token", data=form)

    response = client.post(f"{API}/auth/token", data=form)

    assert problem(response) == (429, "rate_limited")
    # Without this member, Authlib takes the answer for a token.
    assert response.json["error"] == "temporarily_unavailable"


def test_it_comes_before_the_body_is_read(client: FlaskClient, set_limits: SetLimits) -> None:
    set_limits(login="1 per hour")
    call(client, "POST auth/login")

    response = client.post(
        f"{API}/auth/login",
        data=b"\xff" * 70_000,
        content_type="text/plain",
        environ_base={"REMOTE_ADDR": "192.0.2.7"},
    )

    assert problem(response) == (429, "rate_limited")


@pytest.mark.parametrize("name", [name for name in LIMITED if name.endswith(SIGNED_IN)])
def test_who_may_is_asked_first(client: FlaskClient, set_limits: SetLimits, name: str) -> None:
    set_limits(login="1 per hour", mail="1 per hour")

    answers = [call(client, name) for _ in range(3)]

    assert {problem(answer) for answer in answers} == {(401, "not_authenticated")}


def test_a_problem_of_429_by_anybody_elses_route_has_our_shape(
    make_app: Callable[..., Flask],
) -> None:
    app = make_app()

    @app.get("/busy")
    def busy() -> None:
        abort(429)

    assert problem(app.test_client().get("/busy")) == (429, "rate_limited")


def fields_of(answer: TestResponse) -> tuple[str | None, str | None]:
    return answer.headers.get("RateLimit-Policy"), answer.headers.get("RateLimit")


def test_the_answer_says_how_many_calls_are_left(
    client: FlaskClient, ada: User, set_limits: SetLimits
) -> None:
    set_limits(login="3 per minute; 600 per 2 hour", token="2 per minute")
    with time_machine.travel("2026-11-22T08:00:00Z", tick=False) as traveller:
        first = guess(client, "ada")
        traveller.shift(timedelta(seconds=20.5))
        second = guess(client, "nobody")
        call(client, "POST auth/refresh")
        third = call(client, "POST auth/login", username="ada", password=PASSWORD)
        refused = guess(client, "ada")
        refreshed = call(client, "POST auth/refresh")

    policy = '"login per minute";q=3;w=60, "login per 2 hour";q=600;w=7200'
    assert [answer.status_code for answer in (first, second, third)] == [401, 401, 200]
    assert fields_of(first) == (
        policy,
        '"login per minute";r=2;t=60, "login per 2 hour";r=599;t=7200',
    )
    assert second.headers["RateLimit"].startswith('"login per minute";r=1;t=40, ')
    assert third.headers["RateLimit"].startswith('"login per minute";r=0;t=40, ')
    assert fields_of(refused) == ('"login per minute";q=3;w=60', '"login per minute";r=0;t=40')
    assert refused.headers["Retry-After"] == "40"
    assert fields_of(refreshed) == ('"token";q=2;w=60', '"token";r=0;t=60')


def test_no_number_tells_of_an_account_or_an_address(
    client: FlaskClient, ada: User, bob: User, set_limits: SetLimits
) -> None:
    """The same network asks for people who are there, and for others."""
    set_limits(mail="9 per hour", mail_per_address="3 per hour", login="9 per hour")
    token = log_in(client, bob)["access_token"]
    with time_machine.travel("2026-11-22T08:00:00Z", tick=False):
        mails = [
            call(client, "POST auth/password/forgot", email=f"{name}@example.com")
            for name in ("ada", "ada", "nobody")
        ]
        write = call(client, "PATCH users/me", token, full_name="Bob")
        guesses = [guess(client, name) for name in ("ada", "nobody", "ada")]

    assert [answer.headers["RateLimit"] for answer in mails] == [
        f'"mail";r={left};t=3600' for left in (8, 7, 6)
    ]
    assert {answer.headers["RateLimit-Policy"] for answer in mails} == {'"mail";q=9;w=3600'}
    assert [answer.headers["RateLimit"] for answer in guesses] == [
        f'"login";r={left};t=3600' for left in (8, 7, 6)
    ]
    assert fields_of(write) == (None, None)


def test_the_fields_cost_no_call_of_the_storage(
    client: FlaskClient, set_limits: SetLimits, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_limits(token="2 per minute; 9 per hour")
    taken = []
    take = limit_storage.BoundedMemoryStorage.take

    def note(storage: Any, key: str, *numbers: int) -> Any:
        taken.append(key)
        return take(storage, key, *numbers)

    monkeypatch.setattr(limit_storage.BoundedMemoryStorage, "take", note)
    monkeypatch.setattr(limit_storage.BoundedMemoryStorage, "get_moving_window", None)

    answers = [call(client, "POST auth/refresh") for _ in range(3)]

    assert [answer.status_code for answer in answers] == [401, 401, 429]
    assert len(taken) == 2 + 2 + 1


def test_switched_off_the_fields_are_not_there(client: FlaskClient) -> None:
    assert fields_of(call(client, "POST auth/refresh")) == (None, None)


def test_the_openapi_document_names_the_fields_where_they_are_sent(
    client: FlaskClient, set_limits: SetLimits
) -> None:
    set_limits()
    paths = client.get("/openapi.json").json["paths"]

    for name in ("POST auth/login", "POST auth/token", "POST auth/refresh", "POST auth/register"):
        method, path = name.split()
        responses = paths[f"{API}/{path}"][method.lower()]["responses"]
        for status in [*(s for s in responses if s < "300"), "429"]:
            assert {"RateLimit", "RateLimit-Policy"} <= responses[status]["headers"].keys(), name
        assert None not in fields_of(call(client, name)), name
    responses = paths[f"{API}/users/me"]["patch"]["responses"]
    assert "RateLimit" not in responses["200"]["headers"]


# Who is one


def test_each_network_has_its_own(client: FlaskClient, set_limits: SetLimits) -> None:
    set_limits(token="1 per hour")
    call(client, "POST auth/refresh", peer="192.0.2.7")

    response = call(client, "POST auth/refresh", peer="192.0.2.8")

    assert response.status_code != 429


def test_a_household_on_ipv6_is_one(client: FlaskClient, set_limits: SetLimits) -> None:
    set_limits(token="1 per hour")
    call(client, "POST auth/refresh", peer="2001:db8:1:2::1")

    neighbour = call(client, "POST auth/refresh", peer="2001:db8:1:3::1")
    same = call(client, "POST auth/refresh", peer="2001:db8:1:2:aaaa::2")

    assert neighbour.status_code != 429
    assert same.status_code == 429


def test_behind_a_trusted_proxy_it_is_the_client(make_app: Callable[..., Flask]) -> None:
    app = make_app(
        RATELIMIT_ENABLED="true", RATELIMIT_TOKEN="1 per hour", TRUSTED_PROXIES="10.0.0.9"
    )

    def through_the_proxy(address: str) -> int:
        return (
            app.test_client()
            .post(
                f"{API}/auth/refresh",
                json={},
                headers={"X-Forwarded-For": f"1.2.3.4, {address}"},
                environ_base={"REMOTE_ADDR": "10.0.0.9"},
            )
            .status_code
        )

    answers = [through_the_proxy(f"203.0.113.{n}") for n in (1, 2, 1, 2)]

    assert answers == [401, 401, 429, 429]


def test_fifty_wrong_logins_with_rotating_spoofed_headers_still_end_in_429(
    client: FlaskClient, ada: User, default_limits: None
) -> None:
    answers = statuses(
        guess(client, "ada", **dict.fromkeys(SPOOFABLE, f"203.0.113.{n}")) for n in range(50)
    )

    assert answers == [401] * 5 + [429] * 45


# Passwords


def test_all_that_take_a_password_share_one_number(
    client: FlaskClient, ada: User, set_limits: SetLimits
) -> None:
    token = log_in(client, ada)["access_token"]
    set_limits(login="4 per hour")
    passwords = {"password": PASSWORD, "current_password": PASSWORD, "new_password": "x" * 20}
    form = {"grant_type": "password", "username": "ada", "password": PASSWORD}

    answers = [
        call(client, "POST auth/login", username="ada", password=PASSWORD, peer="127.0.0.1"),
        client.post(f"{API}/auth/token", data=form),
        call(
            client,
            "POST auth/reauthenticate",
            token,
            password=passwords["password"],
            peer="127.0.0.1",
        ),
        call(client, "POST auth/password/change", token, peer="127.0.0.1"),
        call(client, "DELETE users/me", token, peer="127.0.0.1"),
        client.post(f"{API}/auth/token", data=form),
    ]

    assert statuses(iter(answers)) == [200, 200, 200, 422, 429, 429]


def test_refreshing_at_the_token_endpoint_is_no_attempt_at_a_password(
    client: FlaskClient, ada: User, set_limits: SetLimits
) -> None:
    pair = log_in(client, ada)
    set_limits(login="1 per hour", login_failures="1 per hour")

    for _ in range(3):
        form = {"grant_type": "refresh_token", "refresh_token": pair["refresh_token"]}
        response = client.post(f"{API}/auth/token", data=form)
        pair = response.json

    assert response.status_code == 200


def test_one_password_at_two_hundred_accounts_from_one_network_ends_in_429(
    client: FlaskClient, default_limits: None
) -> None:
    answers = statuses(guess(client, f"person{n}") for n in range(200))

    assert answers[59:61] == [401, 429]


def test_slowly_it_ends_at_a_hundred_in_an_hour(client: FlaskClient, default_limits: None) -> None:
    with time_machine.travel("2026-11-22T08:00:00Z", tick=False) as traveller:
        answers = []
        for n in range(120):
            answers.append(guess(client, f"person{n}").status_code)
            traveller.shift(timedelta(seconds=10))
        elsewhere = guess(client, "person200", peer="192.0.2.8")
        traveller.shift(timedelta(minutes=50))
        later = guess(client, "person201")

    assert answers == [401] * 100 + [429] * 20
    assert elsewhere.status_code == later.status_code == 401


def test_only_failures_count_against_that_number(
    client: FlaskClient, ada: User, set_limits: SetLimits
) -> None:
    set_limits(login_failures="2 per hour")

    for _ in range(5):
        log_in(client, ada)
    answers = statuses(guess(client, f"person{n}", peer="127.0.0.1") for n in range(3))

    assert answers == [401, 401, 429]


@pytest.mark.parametrize("name", ["POST auth/reauthenticate", "DELETE users/me"])
def test_a_wrong_password_of_who_is_signed_in_is_a_failure_too(
    client: FlaskClient, ada: User, set_limits: SetLimits, name: str
) -> None:
    token = log_in(client, ada)["access_token"]
    set_limits(login_failures="1 per hour")
    call(client, name, token, password="wrong")

    response = guess(client, "somebody")

    assert problem(response) == (429, "rate_limited")


def test_a_wrong_password_at_the_token_endpoint_is_one_as_well(
    client: FlaskClient, ada: User, set_limits: SetLimits
) -> None:
    set_limits(login_failures="1 per hour")
    form = {"grant_type": "password", "username": "ada", "password": "wrong"}

    answers = [client.post(f"{API}/auth/token", data=form) for _ in range(2)]

    assert [problem(answer) for answer in answers] == [
        (400, "invalid_grant"),
        (429, "rate_limited"),
    ]


def test_a_throttled_network_is_counted_as_an_event(
    client: FlaskClient, set_limits: SetLimits, caplog: pytest.LogCaptureFixture
) -> None:
    set_limits(login="1 per hour")
    guess(client, "ada.lovelace")
    before = events("login_throttled")

    guess(client, "ada.lovelace")

    assert events("login_throttled") - before == 1
    assert "ada.lovelace" not in caplog.text


# Mail


def ask(client: FlaskClient, email: str, what: str = "password/forgot", **more: Any) -> int:
    return call(client, f"POST auth/{what}", email=email, **more).status_code


def test_five_mails_an_hour_to_one_address_known_or_not(
    client: FlaskClient, ada: User, default_limits: None
) -> None:
    known = [ask(client, "ada@example.com") for _ in range(6)]
    unknown = [ask(client, "nobody@example.com") for _ in range(6)]

    assert known == unknown == [202] * 5 + [429]


def test_every_spelling_is_one_address_at_every_call(
    client: FlaskClient, ada: User, set_limits: SetLimits
) -> None:
    token = log_in(client, ada)["access_token"]
    set_limits(mail_per_address="3 per hour")

    answers = [
        ask(client, "bob@Example.com"),
        ask(client, "BOB@ｅxample.com", "email/resend"),
        call(client, "POST auth/email/change", token, new_email="Bob@example.COM").status_code,
        ask(client, "bob@example.com"),
    ]

    assert answers == [202, 202, 202, 429]


def test_what_is_no_address_is_counted_alike(client: FlaskClient, set_limits: SetLimits) -> None:
    set_limits(mail_per_address="1 per hour")

    answers = [ask(client, text) for text in ("", "", "nonsense", "nonsense", "@" * 5000)]

    assert answers == [202, 429, 202, 429, 202]


def test_an_attacker_cannot_use_up_the_owners_mails(
    client: FlaskClient, ada: User, default_limits: None
) -> None:
    attack = [ask(client, "ada@example.com", peer="198.51.100.66") for _ in range(8)]

    owner = ask(client, "ada@example.com")

    assert attack.count(429) == 3
    assert owner == 202


def test_a_hundred_requests_from_one_network_queue_thirty_mails_at_most(
    client: FlaskClient, default_limits: None
) -> None:
    answers = [ask(client, f"person{n}@example.com") for n in range(100)]

    assert answers == [202] * 30 + [429] * 70


# What operators hear


def test_a_refusal_looks_whether_everybody_has_one_address(
    app: Flask, client: FlaskClient, set_limits: SetLimits, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked: list[bool] = []
    monkeypatch.setattr(deployment_warnings, "look_for_only_address", lambda: looked.append(True))
    set_limits(token="1 per hour")

    call(client, "POST auth/refresh")
    before = list(looked)
    call(client, "POST auth/refresh")

    assert (before, looked) == ([], [True])


@pytest.mark.parametrize(
    ("variables", "said"),
    [
        ({"RATELIMIT_ENABLED": "true", "WEB_CONCURRENCY": "3"}, "each of 3 worker processes"),
        ({"RATELIMIT_ENABLED": "false"}, "anybody may guess passwords"),
        ({"RATELIMIT_ENABLED": "true", "REDIS_URL": "redis://127.0.0.1:1"}, ""),
    ],
)
def test_the_start_says_what_the_limits_are_worth(
    make_app: Callable[..., Flask],
    caplog: pytest.LogCaptureFixture,
    variables: dict[str, str],
    said: str,
) -> None:
    app = make_app(**variables)
    caplog.set_level(logging.INFO)
    caplog.clear()

    limits.announce(app.config["SETTINGS"])

    assert said in caplog.text
    assert len(caplog.records) == bool(said)


# Redis


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[OwnRedis]:
    with own_redis(tmp_path) as server:
        yield server


@pytest.fixture
def on_redis(make_app: Callable[..., Flask], redis: OwnRedis) -> Callable[[], FlaskClient]:
    """Another worker that shares the limits."""

    def worker() -> FlaskClient:
        app = make_app(RATELIMIT_ENABLED="true", RATELIMIT_TOKEN="5 per hour", REDIS_URL=redis.url)
        return app.test_client()

    return worker


def test_workers_share_the_number(on_redis: Callable[[], FlaskClient]) -> None:
    one, other = on_redis(), on_redis()

    answers = [call(client, "POST auth/refresh").status_code for client in [one, other] * 4]

    assert answers == [401] * 5 + [429] * 3


def test_redis_killed_in_the_middle_nobody_notices_and_the_limit_holds(
    on_redis: Callable[[], FlaskClient], redis: OwnRedis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limit_storage, "ASK_AGAIN_AFTER_SECONDS", 0)
    client, other = on_redis(), on_redis()
    before = [call(client, "POST auth/refresh").status_code for _ in range(3)]

    redis.kill()
    begun = time.monotonic()
    during = [call(client, "POST auth/refresh").status_code for _ in range(8)]
    waited = time.monotonic() - begun
    redis.start()
    after = [call(c, "POST auth/refresh").status_code for c in [client, other] * 4]

    assert before == [401] * 3
    assert during == [401] * 5 + [429] * 3
    assert waited < 4
    assert after == [401] * 5 + [429] * 3


def test_readyz_says_whether_redis_is_there(
    on_redis: Callable[[], FlaskClient], redis: OwnRedis, client: FlaskClient
) -> None:
    worker = on_redis()

    there = worker.get("/readyz")
    redis.kill()
    away = worker.get("/readyz")
    without = client.get("/readyz")

    assert there.json["checks"] == {"database": "ok", "migrations": "ok", "redis": "ok"}
    assert problem(away) == (503, "unavailable")
    assert away.json["checks"] == {"database": "ok", "migrations": "ok", "redis": "away"}
    assert "redis" not in without.json["checks"]


def test_a_login_works_while_redis_hangs(
    make_app: Callable[..., Flask], redis: OwnRedis, ada: User
) -> None:
    client = make_app(RATELIMIT_ENABLED="true", REDIS_URL=redis.url).test_client()
    redis.freeze()

    begun = time.monotonic()
    pair = log_in(client, ada)
    waited = time.monotonic() - begun

    redis.thaw()
    assert me(client, pair["access_token"]).status_code == 200
    assert waited < 4
