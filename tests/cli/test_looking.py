"""flask sessions, mail test, settings show and the filters of audit list."""

import json
from collections.abc import Callable, Iterator

import pytest
from click.testing import Result
from flask import Flask
from flask.testing import FlaskClient

from app.cli.settings import HIDDEN
from app.mail import listening
from app.models import User
from tests.cases import each
from tests.factories import log_in, me
from tests.mail.post_office import LOGIN, PostOffice, open_office

Run = Callable[..., Result]


@pytest.fixture
def run(app: Flask) -> Run:
    return lambda *arguments: app.test_cli_runner().invoke(args=arguments)


@pytest.fixture
def office(set_settings: Callable[..., None]) -> Iterator[PostOffice]:
    with open_office(PostOffice()) as office:
        set_settings(mail_url=f"smtp://127.0.0.1:{office.port}")
        yield office


def test_one_session_is_found_and_ended(
    run: Run, client: FlaskClient, ada: User, bob: User
) -> None:
    access, of_bob = (log_in(client, user)["access_token"] for user in (ada, bob))
    (session,) = json.loads(run("sessions", "list", "ada", "--json").stdout)
    assert session["username"] == "ada"
    assert len(json.loads(run("sessions", "list", "--json").stdout)) == 2

    ended = run("sessions", "end", session["id"])
    again = run("sessions", "end", session["id"])

    assert ended.stdout == "ada@example.com is signed out on that device.\n"
    assert again.stderr == f"Error: No session with the id {session['id']} is alive.\n"
    assert [me(client, token).status_code for token in (access, of_bob)] == [401, 200]
    (event,) = json.loads(run("audit", "list", "--event", "session_ended", "--json").stdout)
    assert (event["subject_id"], event["details"]["via"]) == (ada.id, "cli")


def test_the_log_is_filtered_by_address_and_time_and_shows_names(
    run: Run, client: FlaskClient, ada: User
) -> None:
    log_in(client, ada)
    run("users", "deactivate", "ada")

    def names(*options: str) -> list[str]:
        listed = json.loads(run("audit", "list", "--json", *options).stdout)
        return [event["event"] for event in listed]

    assert names("--subject", "ada") == ["user_deactivated", "login_succeeded"]
    assert names("--ip", "127.0.0.1") == ["login_succeeded"]
    assert names("--ip", "192.0.2.1") == names("--until", "2000-01-01") == []
    assert f"{ada.id} ada" in run("audit", "list").stdout


def test_a_test_mail_shows_what_the_server_answered(run: Run, office: PostOffice) -> None:
    said = run("mail", "test", "grace@example.com")

    assert said.exit_code == 0, said.output
    lines = said.stdout.splitlines()
    assert lines[0].startswith("< 220 ")
    assert "> RCPT TO:<grace@example.com>" in lines
    assert lines[-1] == f"The mail to grace@example.com was handed over (127.0.0.1:{office.port})."
    assert len(office.to("grace@example.com")) == 1


def test_a_test_mail_that_is_refused_says_so(run: Run, office: PostOffice) -> None:
    office.refusals["grace@example.com"] = "550 No such user"

    said = run("mail", "test", "grace@example.com")

    assert said.exit_code == 1
    assert "< 550 No such user" in said.stdout
    assert said.stderr == "Error: The mail was not sent: the mail server refuses it with 550.\n"


def test_the_password_of_the_mail_server_is_not_shown(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with listening.listening(print):
        listening.sent("AUTH", f"PLAIN {LOGIN[1]}")
        listening.sent("c2VjcmV0", "")
        listening.sent("quit", "")

    assert capsys.readouterr().out == "> AUTH (hidden)\n> (hidden)\n> quit\n"


@each(
    ("changed", "name", "value"),
    [
        ({"secret_key": "x" * 40}, "SECRET_KEY", HIDDEN),
        ({"metrics_token": "geheim"}, "METRICS_TOKEN", HIDDEN),
        ({"metrics_token": ""}, "METRICS_TOKEN", ""),
        ({"redis_url": "redis://:geheim@r/0"}, "REDIS_URL", "redis://:***@r/0"),
        ({"mail_url": "smtp://u:geheim@m:25"}, "MAIL_URL", "smtp://u:***@m:25"),
        ({}, "RESET_TOKEN_EXPIRE_MINUTES", "30"),
        ({}, "RATELIMIT_TOKEN", "120 per 1 minute"),
        ({"pages": True}, "PAGES", "true"),
        ({"dynamic": {"OIDC_ACME_DOMAINS": ["a.example"]}}, "OIDC_ACME_DOMAINS", "a.example"),
        ({"dynamic": {"OIDC_ACME_CLIENT_SECRET": "x"}}, "OIDC_ACME_CLIENT_SECRET", HIDDEN),
    ],
)
def test_settings_are_shown_without_secrets(
    run: Run, set_settings: Callable[..., None], changed: dict, name: str, value: str
) -> None:
    set_settings(**changed)

    shown = json.loads(run("settings", "show", name, "--json").stdout)

    assert {"name": name, "value": value} == {
        key: text for key, text in shown[0].items() if key != "source"
    }


def test_settings_say_where_they_come_from(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MAIL_FROM", "a@example.com")
    monkeypatch.delenv("MFA_REQUIRED", raising=False)

    def source(name: str) -> str:
        return str(json.loads(run("settings", "show", name, "--json").stdout)[0]["source"])

    assert source("mail_from") == "environment"
    assert source("mfa_required") == "default"
    assert run("settings", "show", "nothing").stderr == (
        "Error: No setting has nothing in its name.\n"
    )
