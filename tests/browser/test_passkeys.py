"""Passkeys in a real browser, with the virtual authenticators of Chromium."""

import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from flask import Flask
from sqlalchemy import select

from app.extensions import db
from app.models import AuditEvent, User
from tests.browser.chromium import Chromium, Tab, chromium
from tests.conftest import ENVIRONMENT
from tests.factories import PASSWORD, bearer
from tests.servers import Server, serving
from tests.waiting import until

pytestmark = [pytest.mark.browser, pytest.mark.usefixtures("app")]

SCRIPT = (Path(__file__).parent / "passkeys.js").read_text()
# Any page of ours that may call the API.
PAGE = "/account/verify-email"


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chromium]:
    program = shutil.which("chromium") or shutil.which("chromium-browser")
    if program is None and os.environ.get("CI") == "true":
        pytest.fail("CI=true wants Chromium: apt install chromium.")
    if program is None:
        pytest.skip("Chromium is not installed: apt install chromium.")
    with chromium(program, tmp_path_factory.mktemp("profile")) as found:
        yield found


@pytest.fixture(scope="module")
def server(
    session_app: Flask, database_url: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    log = tmp_path_factory.mktemp("passkeys") / "gunicorn.log"
    variables = ENVIRONMENT | {"WEB_CONCURRENCY": "1", "WEB_THREADS": "4"}
    with serving(log, **variables, DATABASE_URL=database_url) as server:
        yield server


@pytest.fixture
def tab(browser: Chromium, server: Server) -> Iterator[Tab]:
    tab = Tab(browser)
    # The domain of a passkey must be a name, and 127.0.0.1 is not one.
    tab.open(server.url.replace("127.0.0.1", "localhost") + PAGE)
    tab.run(SCRIPT)
    yield tab
    tab.close()


def run(tab: Tab, function: str, *arguments: Any) -> Any:
    given = ", ".join(json.dumps(argument) for argument in arguments)
    return tab.run(f"passkeys.{function}({given})")


def log_in(tab: Tab, user: User) -> str:
    token: str = run(tab, "logIn", user.username, PASSWORD)["body"]["access_token"]
    return token


def session_of(server: Server, answer: dict[str, Any]) -> dict[str, Any]:
    assert answer["status"] == 200, answer
    headers = bearer(answer["body"]["access_token"])
    found = requests.get(f"{server.api}/auth/sessions/current", headers=headers, timeout=30)
    session: dict[str, Any] = found.json()
    return session


def ticket_of(tab: Tab, server: Server, user: User, token: str) -> str:
    """Switch the second step on, and log in up to it."""
    requests.put(
        f"{server.api}/auth/factors/second-step",
        json={"enabled": True},
        headers=bearer(token),
        timeout=30,
    ).raise_for_status()
    ticket: str = run(tab, "logIn", user.username, PASSWORD)["body"]["mfa_token"]
    return ticket


def test_a_passkey_is_registered_and_replaces_the_password(
    tab: Tab, server: Server, ada: User
) -> None:
    tab.plug_in()
    added = run(tab, "register", log_in(tab, ada))

    answer = run(tab, "withoutPassword")

    assert added["status"] == 201, added
    assert added["body"]["passkey"]["transports"] == ["internal"]
    assert len(added["body"]["recovery_codes"]) == 10
    session = session_of(server, answer)
    assert (session["aal"], session["signed_in_by"]) == (2, "passkey")


def test_the_browser_makes_no_second_passkey_in_the_same_authenticator(tab: Tab, ada: User) -> None:
    tab.plug_in()
    token = log_in(tab, ada)
    assert run(tab, "register", token)["status"] == 201

    again = run(tab, "register", token)

    assert again == {"refusedBy": "browser", "name": "InvalidStateError"}


def test_a_passkey_is_the_second_step(tab: Tab, server: Server, ada: User) -> None:
    tab.plug_in()
    token = log_in(tab, ada)
    assert run(tab, "register", token)["status"] == 201

    answer = run(tab, "secondStep", ticket_of(tab, server, ada, token))

    assert session_of(server, answer)["amr"] == ["pwd", "pop", "mfa"]


# Chromium stores a discoverable key only in an authenticator that verifies its user.
AS_SECOND_STEP_ONLY = {"authenticatorSelection": {"residentKey": "discouraged"}}


def test_a_key_without_user_verification_is_a_second_step_and_never_a_login(
    tab: Tab, server: Server, ada: User
) -> None:
    key = tab.plug_in(verifies_user=False)
    token = log_in(tab, ada)
    assert run(tab, "register", token, AS_SECOND_STEP_ONLY)["status"] == 201

    step = run(tab, "secondStep", ticket_of(tab, server, ada, token))
    asked = run(tab, "withoutPassword")
    # A page that does not ask for verification, and names the key.
    known = {"type": "public-key", "id": url_safe(tab.credential_of(key)["credentialId"])}
    changes = {"userVerification": "discouraged", "allowCredentials": [known]}
    not_asked = run(tab, "withoutPassword", changes)

    assert step["status"] == 200, step
    assert asked == {"refusedBy": "browser", "name": "NotAllowedError"}
    assert (not_asked["status"], not_asked["body"]["code"]) == (401, "invalid_credentials")


def test_a_login_that_did_not_verify_the_user_is_refused(tab: Tab, ada: User) -> None:
    """The key could have done it, but the page did not ask."""
    key = tab.plug_in()
    assert run(tab, "register", log_in(tab, ada))["status"] == 201
    tab.call("WebAuthn.setUserVerified", authenticatorId=key, isUserVerified=False)

    answer = run(tab, "withoutPassword", {"userVerification": "discouraged"})

    assert (answer["status"], answer["body"]["code"]) == (401, "invalid_credentials")


def url_safe(base64: str) -> str:
    return base64.replace("+", "-").replace("/", "_").rstrip("=")


def test_a_copied_key_is_refused_recorded_and_mailed(
    app: Flask, tab: Tab, server: Server, ada: User
) -> None:
    owner = tab.plug_in()
    assert run(tab, "register", log_in(tab, ada))["status"] == 201
    stolen = tab.credential_of(owner)
    for _ in range(2):
        assert run(tab, "withoutPassword")["status"] == 200
    tab.unplug(owner)
    thief = tab.plug_in()
    tab.call("WebAuthn.addCredential", authenticatorId=thief, credential=stolen)

    answer = run(tab, "withoutPassword")

    assert (answer["status"], answer["body"]["code"]) == (401, "invalid_credentials")
    with app.app_context():
        copied = select(AuditEvent.subject_id).where(AuditEvent.event == "passkey_copied")
        assert db.session.scalars(copied).all() == [ada.id]
    mails = server.log.parent / "mail"
    until(lambda: any(b"may have been copied" in one.read_bytes() for one in mails.glob("*.eml")))


def test_a_passkey_of_one_account_is_not_a_second_step_of_another(
    tab: Tab, server: Server, ada: User, bob: User
) -> None:
    adas = tab.plug_in()
    token = log_in(tab, ada)
    assert run(tab, "register", token)["status"] == 201
    ticket = ticket_of(tab, server, ada, token)
    tab.unplug(adas)
    tab.plug_in()
    assert run(tab, "register", log_in(tab, bob))["status"] == 201

    assert run(tab, "secondStep", ticket) == {"refusedBy": "browser", "name": "NotAllowedError"}
