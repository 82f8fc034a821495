"""flask users: invite, edit, verify, set-password, link, unlock, suspended, stats, list."""

import json
from collections.abc import Callable

import pytest
from click.testing import Result
from flask import Flask
from flask.testing import FlaskClient

from app.extensions import db
from app.models import AuditEvent, User
from tests.cases import each
from tests.factories import API, PASSWORD, bearer, log_in, make_user, me
from tests.mailbox import Mailbox

Run = Callable[..., Result]
NEW = "seven green umbrellas"


@pytest.fixture
def run(app: Flask) -> Run:
    def command(*arguments: str, stdin: str = "") -> Result:
        return app.test_cli_runner().invoke(args=["users", *arguments], input=stdin)

    return command


def events(app: Flask) -> list[tuple[str, int | None, dict]]:
    with app.app_context():
        rows = db.session.scalars(db.select(AuditEvent).order_by(AuditEvent.id)).all()
        return [(row.event, row.subject_id, row.all_details) for row in rows]


def read(app: Flask, user: User) -> User:
    with app.app_context():
        found = db.session.get(User, user.id)
        assert found
        db.session.expunge(found)
        return found


def try_to_log_in(client: FlaskClient, name: str, password: str) -> int:
    return client.post(
        f"{API}/auth/login", json={"username": name, "password": password}
    ).status_code


def test_an_invited_user_gets_a_link_and_chooses_the_password(
    run: Run, app: Flask, client: FlaskClient, mailbox: Mailbox
) -> None:
    said = run("invite", "--email", "ada@example.com", "--username", "ada", "--locale", "zh")

    assert said.stdout.startswith("Invited ada <ada@example.com> with id "), said.output
    token = mailbox.token("accept-invitation", "ada@example.com")
    body = {"token": token, "new_password": NEW}
    assert client.post(f"{API}/auth/password/reset", json=body).status_code == 204
    assert try_to_log_in(client, "ada", NEW) == 200
    assert events(app)[0][0] == "user_created"


def test_edit_changes_what_is_named_and_records_it(run: Run, app: Flask, ada: User) -> None:
    said = run("edit", "ada", "--username", "Countess", "--full-name", "Ada L", "--locale", "zh")

    assert said.stdout == "Changed Countess <ada@example.com>.\n"
    changed = read(app, ada)
    assert (changed.username, changed.full_name, changed.locale) == ("Countess", "Ada L", "zh")
    assert changed.username_key == "countess"
    assert events(app) == [
        (
            "user_updated",
            ada.id,
            {
                "fields": ["full_name", "locale", "username"],
                "via": "cli",
                "username": "Countess",
            },
        )
    ]


@pytest.mark.parametrize("verified", [True, False])
def test_a_new_address_is_confirmed_by_its_owner_or_vouched_for(
    run: Run, app: Flask, client: FlaskClient, ada: User, mailbox: Mailbox, verified: bool
) -> None:
    said = run("edit", "ada", "--email", "Ada@Example.org", *["--verified"] * verified)

    assert said.stdout == "Changed ada <ada@example.org>.\n"
    assert read(app, ada).email_verified is verified
    if not verified:
        body = {"token": mailbox.token("verify-email", "ada@example.org")}
        assert client.post(f"{API}/auth/email/verify", json=body).status_code == 204
    assert events(app)[0] == (
        "email_changed",
        ada.id,
        {"via": "cli", "email": "ada@example.org"},
    )


def test_a_new_address_ends_the_links_that_were_mailed_before(
    run: Run, client: FlaskClient, ada: User, mailbox: Mailbox
) -> None:
    asked = client.post(
        f"{API}/auth/email/change",
        json={"new_email": "thief@example.com"},
        headers=bearer(log_in(client, ada)["access_token"]),
    )
    assert asked.status_code == 202
    of_thief = mailbox.token("confirm-email", "thief@example.com")
    to_reset = run("link", "ada", "--reset").stdout.strip().partition("#token=")[2]

    run("edit", "ada", "--email", "ada@example.org", "--verified")

    reset = {"token": to_reset, "new_password": NEW}
    assert client.post(f"{API}/auth/password/reset", json=reset).status_code == 400
    confirmed = client.post(f"{API}/auth/email/change/confirm", json={"token": of_thief})
    assert confirmed.status_code == 400


@each(
    ("given", "sentence"),
    [
        (["edit", "ada"], "Say what to change"),
        (["edit", "ada", "--verified", "--full-name", "A"], "--verified is about a new --email"),
        (["edit", "ada", "--email", "bob@example.com"], "Error: Email already registered."),
        (["edit", "ada", "--username", "BOB"], "Error: Username already taken."),
        (["edit", "ada", "--username", "a b"], "Error: username: Must consist of"),
        (["set-password", "ada", "--stdin", "--generate"], "either --generate or --stdin"),
        (["link", "ada"], "Say which link: --reset or --invite."),
        (["link", "ada", "--invite"], "The account has been used already."),
        (["edit", "nobody", "--full-name", "A"], "Nobody has the username nobody."),
    ],
)
def test_what_cannot_be_done_is_refused_in_a_sentence(
    run: Run, app: Flask, ada: User, bob: User, given: list[str], sentence: str
) -> None:
    before = events(app)

    said = run(*given)

    assert said.exit_code in (1, 2)
    assert sentence in said.stderr
    assert (said.stdout, events(app)) == ("", before)


def test_verify_counts_the_address_as_confirmed_once(run: Run, app: Flask) -> None:
    bob = make_user(app, username="bob", email="bob@example.com", email_verified=False)

    assert run("verify", "bob").stdout == "bob@example.com is confirmed.\n"
    assert run("verify", "bob").stdout == "bob@example.com was confirmed already.\n"
    assert read(app, bob).email_verified
    assert events(app) == [("email_verified", bob.id, {"via": "cli"})]


@pytest.mark.parametrize("option", ["--generate", "--stdin"])
def test_a_set_password_replaces_the_old_one_and_ends_the_sessions(
    run: Run, app: Flask, client: FlaskClient, ada: User, mailbox: Mailbox, option: str
) -> None:
    access = log_in(client, ada)["access_token"]

    said = run("set-password", "ada", option, stdin=f"{NEW}\n")

    password = said.stdout.strip() if option == "--generate" else NEW
    assert try_to_log_in(client, "ada", PASSWORD) == 401
    assert try_to_log_in(client, "ada", password) == 200
    assert me(client, access).status_code == 401
    recorded = [event for event in events(app) if event[0] == "password_reset"]
    assert recorded == [
        ("password_reset", ada.id, {"by": "operator", "sessions_ended": 1, "via": "cli"})
    ]
    assert NEW not in said.output
    assert "password was changed" in mailbox.deliver()[-1].subject


@each("password", ["short", "ada@example.com", "password1234"])
def test_a_weak_password_is_refused_for_an_operator_too(
    run: Run, ada: User, set_settings: Callable[..., None], password: str
) -> None:
    set_settings(password_reject_common=True)

    said = run("set-password", "ada", "--stdin", stdin=password)

    assert (said.exit_code, said.stdout) == (1, "")
    assert said.stderr.startswith("Error: password: ")


def test_a_reset_link_is_printed_works_once_and_is_recorded(
    run: Run, app: Flask, client: FlaskClient, ada: User
) -> None:
    said = run("link", "ada@example.com", "--reset").stdout

    token = said.strip().partition("/account/reset-password#token=")[2]
    answers = [
        client.post(f"{API}/auth/password/reset", json={"token": token, "new_password": NEW})
        for _ in range(2)
    ]
    assert [answer.status_code for answer in answers] == [204, 400]
    assert events(app)[0] == (
        "password_reset_asked",
        ada.id,
        {"shown": "terminal", "via": "cli"},
    )


def test_an_invitation_can_be_printed_and_a_deactivated_account_gets_none(
    run: Run, app: Flask
) -> None:
    run("invite", "--email", "ada@example.com", "--username", "ada")

    assert "/account/accept-invitation#token=" in run("link", "ada", "--invite").stdout
    run("deactivate", "ada")
    assert "The account is deactivated" in run("link", "ada", "--invite").stderr


def test_a_throttled_account_is_listed_and_unlocked(
    run: Run, app: Flask, client: FlaskClient, ada: User, set_settings: Callable[..., None]
) -> None:
    set_settings(ratelimit_enabled=True)
    tries = [try_to_log_in(client, "ada", "a wrong password") for _ in range(6)]
    assert tries[-1] == 429

    (listed,) = json.loads(run("suspended", "--json").stdout)
    assert (listed["username"], listed["failed"], listed["failures"]) == ("ada", "password", 5)
    assert run("unlock", "ada").stdout == "ada@example.com may try to log in again.\n"

    assert json.loads(run("suspended", "--json").stdout) == []
    assert try_to_log_in(client, "ada", PASSWORD) == 200
    assert run("unlock", "ada").stdout == "ada@example.com has no failed logins.\n"


def test_lists_are_filtered_and_cut_and_counts_fit_them(run: Run, ada: User, bob: User) -> None:
    run("deactivate", "bob")

    def listed(*options: str) -> list[str]:
        return [user["username"] for user in json.loads(run("list", "--json", *options).stdout)]

    assert listed() == ["ada", "bob"]
    assert listed("--inactive") == ["bob"]
    assert listed("--active", "--created-after", "2000-01-01") == ["ada"]
    assert listed("--created-before", "2000-01-01") == []
    assert listed("--limit", "1") == ["ada"]
    counts = json.loads(run("stats", "--json").stdout)
    assert (counts["accounts"], counts["active"], counts["inactive"]) == (2, 1, 1)
    assert (counts["made_in_the_last_day"], counts["sessions"]) == (2, 0)
