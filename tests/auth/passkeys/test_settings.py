"""Where passkeys are on, and which domain and origins they belong to."""

import json
import subprocess
import sys
from collections.abc import Callable

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import update

from app import create_app, read_settings
from app.auth.passkeys import settings as passkey_settings
from app.auth.passkeys.models import Passkey
from app.extensions import db
from app.models import User
from config import ROOT, SettingsRefused
from tests.auth.mfa.phone import enrol_with, give_password
from tests.auth.passkeys.authenticator import Authenticator
from tests.auth.passkeys.browser import log_in_with, options, with_passkey
from tests.cases import each
from tests.conftest import ENVIRONMENT
from tests.factories import API, bearer, log_in, problem

MakeApp = Callable[..., Flask]
OFF = {"PASSKEYS": "false"}


def environment(**variables: str) -> dict[str, str]:
    return ENVIRONMENT | {"DATABASE_URL": "sqlite:////nowhere/unused.db"} | variables


def test_passkeys_can_be_switched_off(make_app: MakeApp, client: FlaskClient, ada: User) -> None:
    key = Authenticator()
    enrol_with(client, with_passkey(client, ada, key))
    refusal = give_password(client, ada).json
    assert refusal["methods"] == ["passkey", "totp", "recovery_code"]
    begun = options(client, "mfa/passkey-options", mfa_token=refusal["mfa_token"])
    proof = {"ceremony": begun["ceremony"], "credential": key.get(begun["options"])}

    without = make_app(**OFF).test_client()

    for path in (
        "passkeys/login-options",
        "passkeys/login",
        "passkeys/options",
        "passkeys",
        "mfa/passkey-options",
        "reauthenticate/passkey-options",
    ):
        assert problem(without.post(f"{API}/auth/{path}", json={})) == (404, "not_found")
    assert problem(without.get("/.well-known/passkey-endpoints")) == (404, "not_found")
    assert give_password(without, ada).json["methods"] == ["totp", "recovery_code"]
    answer = without.post(f"{API}/auth/mfa", json={"mfa_token": refusal["mfa_token"], **proof})
    assert problem(answer) == (400, "ceremony_invalid")


def test_passkeys_outlive_a_time_in_which_they_are_off(
    make_app: MakeApp, client: FlaskClient, ada: User
) -> None:
    """The app was the last factor that works then, and the recovery codes go with it."""
    key = Authenticator()
    token = with_passkey(client, ada, key)
    enrol_with(client, token)
    without = make_app(**OFF).test_client()

    removal = without.delete(f"{API}/auth/factors/totp", headers=bearer(token))

    assert removal.status_code == 204
    factors = client.get(f"{API}/auth/factors", headers=bearer(token)).json
    assert (factors["second_step"], factors["recovery_codes"]) == (False, None)
    assert log_in_with(client, key).status_code == 200


@each(
    "public_url, given, are_on",
    [
        ("https://accounts.example.com", "auto", True),
        ("http://localhost:8000", "auto", True),
        ("http://127.0.0.1:8000", "auto", True),
        ("http://accounts.example.com", "auto", False),
        ("http://accounts.example.com", "true", True),
        ("https://accounts.example.com", "false", False),
    ],
)
def test_they_are_on_where_browsers_offer_them(public_url: str, given: str, are_on: bool) -> None:
    app = create_app(read_settings(environment(PUBLIC_URL=public_url, PASSKEYS=given)))

    with app.app_context():
        assert passkey_settings.are_on() is are_on
        db.engine.dispose()


@each(
    "variables, rp_id, origins",
    [
        (
            {"PUBLIC_URL": "https://Accounts.Example.com:443/base"},
            "accounts.example.com",
            ["https://accounts.example.com"],
        ),
        (
            {"PUBLIC_URL": "https://accounts.example.com", "WEBAUTHN_RP_ID": "Example.com"},
            "example.com",
            ["https://accounts.example.com"],
        ),
        (
            {"WEBAUTHN_ORIGINS": "http://localhost:3000,http://app.localhost:8000"},
            "localhost",
            ["http://localhost:3000", "http://app.localhost:8000"],
        ),
    ],
)
def test_domain_and_origins(variables: dict[str, str], rp_id: str, origins: list[str]) -> None:
    app = create_app(read_settings(environment(**variables)))

    with app.app_context():
        party = passkey_settings.relying_party()
        db.engine.dispose()
    assert (party.id, party.origins) == (rp_id, origins)


@each(
    "rp_id, origin",
    [
        ("example.org", "https://example.com"),
        ("accounts.example.com", "https://example.com"),
        ("ample.com", "https://example.com"),
        ("example.com", "https://example.com.evil.example"),
        (".example.com", "https://example.com"),
    ],
)
def test_a_domain_that_the_origins_do_not_belong_to_stops_the_start(
    rp_id: str, origin: str
) -> None:
    settings = read_settings(environment(WEBAUTHN_RP_ID=rp_id, WEBAUTHN_ORIGINS=origin))

    with pytest.raises(SettingsRefused) as refusal:
        create_app(settings)
    assert f"WEBAUTHN_RP_ID is {rp_id}, to which {origin} does not belong" in str(refusal.value)


def test_password_managers_find_the_pages(client: FlaskClient) -> None:
    answer = client.get("/.well-known/passkey-endpoints")

    page = "http://localhost:8000/account/security"
    assert answer.json == {"enroll": page, "manage": page}


def test_the_doctor_counts_the_keys_of_another_domain(
    app: Flask, client: FlaskClient, ada: User
) -> None:
    token = with_passkey(client, ada, Authenticator())
    with app.app_context():
        db.session.execute(update(Passkey).values(rp_id="old.example.com"))
        db.session.commit()

    report = app.test_cli_runner().invoke(args=("doctor",)).output

    assert "other domains than localhost and do not work: 1 of old.example.com" in report
    begun = options(client, "reauthenticate/passkey-options", token)
    assert begun["options"]["allowCredentials"] == []


# In a process of its own, because the tests of this one have imported the library.
UNUSED = """
import sys
from app import create_app, read_settings
import json
app = create_app(read_settings(json.loads(sys.argv[1])))
client = app.test_client()
for _ in range(50):
    assert client.get("/healthz").status_code == 200
    assert client.post("/api/v1/auth/passkeys/login-options", json={}).status_code == 200
print(sorted(name for name in sys.modules if name.partition(".")[0] in ("webauthn", "cbor2")))
"""


def test_the_library_is_not_imported_before_a_passkey_is_used() -> None:
    done = subprocess.run(
        [sys.executable, "-c", UNUSED, json.dumps(environment(RATELIMIT_ENABLED="true"))],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert (done.stdout, done.returncode) == ("[]\n", 0), done.stderr


def test_options_are_not_counted_with_proofs(
    app: Flask, client: FlaskClient, ada: User, set_settings: Callable[..., None]
) -> None:
    """A login page asks for options each time it opens."""
    key = Authenticator()
    with_passkey(client, ada, key)
    set_settings(ratelimit_enabled=True)

    for _ in range(70):
        options(client, "passkeys/login-options")
    statuses = [client.post(f"{API}/auth/passkeys/login", json={}).status_code for _ in range(61)]

    assert statuses == [422] * 60 + [429]


def test_the_calls_of_an_account_need_a_fresh_login(client: FlaskClient, ada: User) -> None:
    pair = log_in(client, ada)
    stale = client.post(f"{API}/auth/refresh", json={"refresh_token": pair["refresh_token"]}).json[
        "access_token"
    ]

    for path in ("passkeys/options", "passkeys"):
        answer = client.post(f"{API}/auth/{path}", headers=bearer(stale))
        assert problem(answer) == (401, "fresh_token_required")
    assert problem(client.post(f"{API}/auth/passkeys/options")) == (401, "not_authenticated")
