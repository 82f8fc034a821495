"""flask users …"""

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from threading import Event, Thread

import click
import pytest
from click.testing import Result
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select

from app.cli import terminal
from app.cli.users import users
from app.extensions import db
from app.models import AuditEvent, Session, User
from tests.cases import each
from tests.conftest import ENVIRONMENT
from tests.factories import (
    API,
    PASSWORD,
    bearer,
    give_role,
    log_in,
    make_role,
    make_user,
    me,
    problem,
    refresh,
)
from tests.mailbox import Mailbox
from tests.servers import BIN, ROOT, environment_for, flask

Run = Callable[..., Result]

ADA = ("users", "create", "--email", "ada@example.com", "--username", "ada")


@pytest.fixture
def run(app: Flask) -> Run:
    """Run a command of ``flask`` against the test database."""

    def command(*arguments: str, stdin: str | bytes = "") -> Result:
        return app.test_cli_runner().invoke(args=arguments, input=stdin)

    return command


def only_user(app: Flask) -> User:
    with app.app_context():
        user: User = db.session.scalars(db.select(User)).one()
        db.session.expunge(user)
    return user


def number_of_users(app: Flask) -> int:
    with app.app_context():
        return len(db.session.scalars(db.select(User)).all())


def refusal(result: Result) -> str:
    """What a refused command says, having said it as a sentence and not as a traceback."""
    assert result.exit_code != 0
    assert isinstance(result.exception, SystemExit), result.exception
    assert result.stdout == ""
    return result.stderr


# flask users create


def test_create_asks_for_the_password_twice(run: Run, app: Flask, client: FlaskClient) -> None:
    result = run(*ADA, stdin=f"{PASSWORD}\n{PASSWORD}\n")

    assert result.exit_code == 0, result.output
    assert result.output.count("Password") == 1
    assert result.output.count("Once more") == 1
    assert log_in(client, only_user(app))


def test_create_asks_again_when_the_two_differ(run: Run, app: Flask, client: FlaskClient) -> None:
    result = run(*ADA, stdin=f"{PASSWORD}\nsomething else\n{PASSWORD}\n{PASSWORD}\n")

    assert result.exit_code == 0, result.output
    assert log_in(client, only_user(app))


def test_create_without_an_answer_makes_nobody(run: Run, app: Flask) -> None:
    result = run(*ADA, stdin="")

    assert result.exit_code != 0
    assert number_of_users(app) == 0


def test_create_says_whom_it_made(run: Run, app: Flask) -> None:
    result = run(*ADA, "--password-stdin", stdin=PASSWORD)

    user = only_user(app)
    assert result.output == f"Created user ada <ada@example.com> with id {user.id}.\n"


def test_the_password_is_never_printed(run: Run) -> None:
    asked = run(*ADA, stdin=f"{PASSWORD}\n{PASSWORD}\n")
    piped = run(
        *("users", "create", "--email", "bob@example.com", "--username", "bob", "--json"),
        "--password-stdin",
        stdin=PASSWORD,
    )
    refused = run(*ADA, "--password-stdin", stdin="short!?")

    assert (asked.exit_code, piped.exit_code, refused.exit_code) == (0, 0, 1)
    assert PASSWORD not in asked.output + piped.output
    assert "short!?" not in refused.output


@pytest.mark.parametrize("end", ["", "\n", "\r\n"])
def test_the_end_of_the_line_is_not_part_of_a_piped_password(
    run: Run, app: Flask, client: FlaskClient, end: str
) -> None:
    result = run(*ADA, "--password-stdin", stdin=f"{PASSWORD}{end}".encode())

    assert result.exit_code == 0, result.output
    assert log_in(client, only_user(app))


def test_blanks_around_a_piped_password_are_part_of_it(
    run: Run, app: Flask, client: FlaskClient
) -> None:
    run(*ADA, "--password-stdin", stdin=f"  {PASSWORD}  \n")

    assert log_in(client, only_user(app), password=f"  {PASSWORD}  ")


def test_a_created_account_is_active_verified_and_no_superuser(run: Run, app: Flask) -> None:
    run(*ADA, "--password-stdin", stdin=PASSWORD)

    user = only_user(app)
    assert (user.is_active, user.email_verified, user.is_superuser) == (True, True, False)


def test_create_makes_a_superuser_when_told_to(run: Run, app: Flask) -> None:
    result = run(*ADA, "--superuser", "--password-stdin", stdin=PASSWORD)

    assert result.output.startswith("Created superuser ada ")
    assert only_user(app).is_superuser


def test_create_takes_a_full_name(run: Run, app: Flask) -> None:
    run(*ADA, "--full-name", "Ada Lovelace", "--password-stdin", stdin=PASSWORD)

    assert only_user(app).full_name == "Ada Lovelace"


def test_the_address_is_kept_in_its_canonical_form(run: Run, app: Flask) -> None:
    run(
        *("users", "create", "--email", "Ada@EXAMPLE.com", "--username", "ada"),
        "--password-stdin",
        stdin=PASSWORD,
    )

    assert only_user(app).email == "ada@example.com"


def test_create_prints_the_user_as_json_for_scripts(run: Run, app: Flask) -> None:
    result = run(*ADA, "--full-name", "艾达", "--password-stdin", "--json", stdin=PASSWORD)

    user = json.loads(result.stdout)
    assert user["id"] == only_user(app).id
    assert user["full_name"] == "艾达"


def test_the_json_of_a_user_is_the_one_of_the_api(
    run: Run, app: Flask, client: FlaskClient
) -> None:
    printed = json.loads(run(*ADA, "--password-stdin", "--json", stdin=PASSWORD).stdout)

    token = log_in(client, only_user(app))["access_token"]
    assert printed == me(client, token).json


def test_an_operator_may_take_a_reserved_name(run: Run, app: Flask) -> None:
    result = run(
        *("users", "create", "--email", "grace@example.com", "--username", "admin"),
        "--password-stdin",
        stdin=PASSWORD,
    )

    assert result.exit_code == 0, result.output
    assert only_user(app).username == "admin"


@each(
    ("field", "value"),
    [
        ("email", "no address"),
        ("email", "ada@localhost@example.com"),
        ("username", "ad"),
        ("username", "ada lovelace"),
        ("username", "a" * 51),
        ("password", "short"),
        ("password", "x" * 101),
        ("password", "with a\0zero in it"),
        ("full_name", "a" * 101),
        ("full_name", "Ada\u202eLovelace"),
    ],
)
def test_create_refuses_what_the_api_refuses_in_the_same_words(
    run: Run, app: Flask, client: FlaskClient, field: str, value: str
) -> None:
    account = {
        "email": "ada@example.com",
        "username": "ada",
        "password": PASSWORD,
        "full_name": "Ada",
    } | {field: value}
    over_http = client.post(f"{API}/auth/register", json=account).json

    result = run(
        *("users", "create", "--email", account["email"], "--username", account["username"]),
        *("--full-name", account["full_name"], "--password-stdin"),
        stdin=account["password"],
    )

    assert over_http["status"] == 422
    assert over_http["errors"][0]["detail"] in refusal(result)
    assert field.replace("_", " ") in refusal(result)
    assert number_of_users(app) == 0


def test_create_names_everything_that_is_wrong_at_once(run: Run) -> None:
    result = run(
        *("users", "create", "--email", "nonsense", "--username", "a"),
        "--password-stdin",
        stdin="short",
    )

    assert {line.split(":")[-2].split()[-1] for line in refusal(result).splitlines()} == {
        "email",
        "username",
        "password",
    }


def test_a_name_that_is_no_text_is_refused_in_words(run: Run, app: Flask) -> None:
    # Python's spelling of an argument with a byte that is not UTF-8.
    result = run(*ADA, "--full-name", "Ada \udcff", "--password-stdin", stdin=PASSWORD)

    assert "full name" in refusal(result)
    assert number_of_users(app) == 0


def test_a_password_that_is_no_text_is_refused_in_words(run: Run, app: Flask) -> None:
    result = run(*ADA, "--password-stdin", stdin=b"correct horse \xff battery")

    assert "password" in refusal(result)
    assert number_of_users(app) == 0


def test_create_refuses_an_address_that_is_taken(run: Run, ada: User) -> None:
    result = run(
        *("users", "create", "--email", "ADA@example.com", "--username", "other"),
        "--password-stdin",
        stdin=PASSWORD,
    )

    assert "Email already registered" in refusal(result)


def test_create_refuses_a_name_that_is_taken(run: Run, ada: User) -> None:
    result = run(
        *("users", "create", "--email", "other@example.com", "--username", "ADA"),
        "--password-stdin",
        stdin=PASSWORD,
    )

    assert "Username already taken" in refusal(result)


@pytest.mark.parametrize("missing", ["--email", "--username"])
def test_create_says_what_is_missing(run: Run, missing: str) -> None:
    at = ADA.index(missing)

    result = run(*ADA[:at], *ADA[at + 2 :], "--password-stdin", stdin=PASSWORD)

    assert f"'{missing}'" in refusal(result)


# flask users list

COLUMNS = ["ID", "EMAIL", "USERNAME", "ACTIVE", "SUPERUSER", "VERIFIED", "CREATED", "NAME"]


def test_list_shows_everybody_the_oldest_first(run: Run, ada: User, bob: User, grace: User) -> None:
    result = run("users", "list")

    head, *rows = result.output.splitlines()
    assert head.split() == COLUMNS
    assert [row.split()[:5] for row in rows] == [
        [str(ada.id), "ada@example.com", "ada", "yes", "no"],
        [str(bob.id), "bob@example.com", "bob", "yes", "no"],
        [str(grace.id), "grace@example.com", "grace", "yes", "yes"],
    ]


def test_the_columns_of_a_list_are_aligned(run: Run, ada: User, grace: User) -> None:
    head, *rows = run("users", "list").output.splitlines()

    at = head.index("USERNAME")
    assert [row[at:].split()[0] for row in rows] == ["ada", "grace"]


def test_list_of_nobody_is_no_error(run: Run) -> None:
    assert run("users", "list").exit_code == 0


def test_list_prints_json_for_scripts(run: Run, ada: User, grace: User) -> None:
    result = run("users", "list", "--json")

    listed = json.loads(result.stdout)
    assert [user["username"] for user in listed] == ["ada", "grace"]
    assert "password" not in result.stdout


# flask users promote, demote, activate, deactivate


def test_promote_makes_a_superuser_of_a_living_session_too(
    run: Run, client: FlaskClient, ada: User, bob: User
) -> None:
    token = log_in(client, ada)["access_token"]

    result = run("users", "promote", "ada@example.com")

    assert result.exit_code == 0
    assert "ada@example.com" in result.output
    of_bob = client.get(f"{API}/users/{bob.id}", headers=bearer(token))
    assert of_bob.status_code == 200


def test_demote_counts_from_the_next_request_on(
    run: Run, client: FlaskClient, app: Flask, grace: User, bob: User
) -> None:
    make_user(app, username="alan", email="alan@example.com", superuser=True)
    token = log_in(client, grace)["access_token"]

    result = run("users", "demote", "grace@example.com")

    assert result.exit_code == 0
    of_bob = client.get(f"{API}/users/{bob.id}", headers=bearer(token))
    assert problem(of_bob) == (403, "not_enough_permissions")
    assert me(client, token).json["is_superuser"] is False


def test_deactivating_ends_sessions_at_once(run: Run, client: FlaskClient, ada: User) -> None:
    laptop, phone = log_in(client, ada), log_in(client, ada)

    result = run("users", "deactivate", "ada@example.com")

    assert result.exit_code == 0
    for pair in (laptop, phone):
        assert problem(me(client, pair["access_token"])) == (401, "session_ended")
        assert problem(refresh(client, pair["refresh_token"])) == (401, "invalid_refresh_token")


def test_deactivating_leaves_others_alone(
    run: Run, client: FlaskClient, ada: User, bob: User
) -> None:
    token = log_in(client, bob)["access_token"]

    run("users", "deactivate", "ada@example.com")

    assert me(client, token).status_code == 200


def test_a_deactivated_account_cannot_log_in(run: Run, client: FlaskClient, ada: User) -> None:
    run("users", "deactivate", "ada@example.com")

    response = client.post(f"{API}/auth/login", json={"username": "ada", "password": PASSWORD})

    assert problem(response) == (400, "inactive_user")


def test_activating_again_revives_no_old_token(run: Run, client: FlaskClient, ada: User) -> None:
    old = log_in(client, ada)
    run("users", "deactivate", "ada@example.com")

    result = run("users", "activate", "ada@example.com")

    assert result.exit_code == 0
    assert problem(me(client, old["access_token"])) == (401, "session_ended")
    assert problem(refresh(client, old["refresh_token"])) == (401, "invalid_refresh_token")


def test_an_account_that_was_activated_again_can_log_in(
    run: Run, client: FlaskClient, ada: User
) -> None:
    run("users", "deactivate", "ada@example.com")

    run("users", "activate", "ada@example.com")

    assert me(client, log_in(client, ada)["access_token"]).status_code == 200


def test_activating_an_active_account_leaves_its_sessions_alone(
    run: Run, client: FlaskClient, ada: User
) -> None:
    token = log_in(client, ada)["access_token"]

    result = run("users", "activate", "ada@example.com")

    assert result.exit_code == 0
    assert me(client, token).status_code == 200


VERBS = ("promote", "demote", "activate", "deactivate")


@pytest.mark.parametrize("verb", VERBS)
def test_doing_it_twice_is_no_error(run: Run, ada: User, verb: str) -> None:
    run("users", verb, "ada@example.com")

    assert run("users", verb, "ada@example.com").exit_code == 0


@pytest.mark.parametrize("verb", VERBS)
def test_the_address_may_be_spelt_otherwise(run: Run, ada: User, verb: str) -> None:
    result = run("users", verb, "Ada@EXAMPLE.com")

    assert result.exit_code == 0
    assert "ada@example.com" in result.output


@pytest.mark.parametrize(
    ("verb", "field", "value"),
    [
        ("promote", "is_superuser", True),
        ("demote", "is_superuser", False),
        ("activate", "is_active", True),
        ("deactivate", "is_active", False),
    ],
)
def test_json_shows_the_user_afterwards(
    run: Run, ada: User, verb: str, field: str, value: bool
) -> None:
    result = run("users", verb, "ada@example.com", "--json")

    user = json.loads(result.stdout)
    assert (user["email"], user[field]) == ("ada@example.com", value)


@each("verb", VERBS)
@each(
    "who",
    [
        "the address nobody@example.com",
        "the username bob",
        "the username no name",
        "the username ",
        "the id or the username 999999",
        "the username 9999999999999999999999",
    ],
)
def test_an_account_that_is_not_there_is_refused_in_words(
    run: Run, ada: User, verb: str, who: str
) -> None:
    given = who.replace("id or the ", "").split(" ", 2)[2]

    assert refusal(run("users", verb, given)) == f"Error: Nobody has {who}.\n"


@pytest.mark.parametrize("verb", ["demote", "deactivate"])
def test_the_last_superuser_stays_in_the_shell_too(
    run: Run, app: Flask, grace: User, verb: str
) -> None:
    assert "last active superuser" in refusal(run("users", verb, "grace@example.com"))
    assert only_user(app).is_superuser


# flask users list and search, of many


def test_a_list_of_many_comes_whole_and_says_how_far_it_is(
    run: Run, app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(terminal, "PROGRESS_EVERY", 1000)
    with app.app_context():
        db.session.execute(
            db.insert(User),
            [
                {"email": f"u{n}@example.com", "username": f"u{n}", "username_key": f"u{n}"}
                for n in range(2100)
            ],
        )
        db.session.commit()

    table = run("users", "list")
    listed = json.loads(run("users", "list", "--json").stdout)

    assert len(table.stdout.splitlines()) == 2101
    assert table.stderr.splitlines() == ["… 1000 accounts so far", "… 2000 accounts so far"]
    assert [user["email"] for user in listed] == [f"u{n}@example.com" for n in range(2100)]


def test_a_list_of_nobody_is_an_empty_array(run: Run) -> None:
    assert json.loads(run("users", "list", "--json").stdout) == []


def test_search_lists_who_holds_the_text(run: Run, app: Flask, ada: User, bob: User) -> None:
    make_user(app, username="lin", email="lin@example.com", full_name="Adam 100%")

    assert [row.split()[2] for row in run("users", "search", "ada").output.splitlines()[1:]] == [
        *("ada", "lin")
    ]
    found = json.loads(run("users", "search", "100%", "--json").stdout)
    assert [user["username"] for user in found] == ["lin"]
    assert json.loads(run("users", "search", "%%%", "--json").stdout) == []


def test_a_found_account_shows_the_full_name(run: Run, app: Flask) -> None:
    make_user(app, username="lin", email="lin@example.com", full_name="林\u202e\x1b[2J")

    (row,) = run("users", "search", "lin").output.splitlines()[1:]

    # What would write from right to left or clear the screen is shown, and not done.
    assert row.endswith("林\\u202e\\x1b[2J")


# flask users show, delete, reset-password, sessions, end-sessions


def test_show_says_all_that_is_known_and_the_roles(run: Run, app: Flask, ada: User) -> None:
    give_role(app, ada, make_role(app, "support", "users:read"))

    lines = run("users", "show", "ada@example.com").output.splitlines()
    shown = json.loads(run("users", "show", "ada@example.com", "--json").stdout)

    assert "email: ada@example.com" in lines
    assert "is_active: yes" in lines
    assert "roles: support" in lines
    assert (shown["id"], shown["roles"]) == (ada.id, ["support"])
    assert not any("password" in line for line in lines)


def test_the_text_of_a_person_forges_no_line(run: Run, app: Flask) -> None:
    make_user(app, username="lin", email="lin@example.com", bio="x\nis_superuser: yes\r\u2028y")

    lines = run("users", "show", "lin").output.splitlines()

    assert "bio: x\\nis_superuser: yes\\r\\u2028y" in lines
    assert "is_superuser: yes" not in lines


def test_delete_asks_first(run: Run, app: Flask, ada: User) -> None:
    asked = run("users", "delete", "ada@example.com", stdin="n\n")

    assert asked.exit_code == 1
    assert "for good" in asked.output
    assert number_of_users(app) == 1


def test_delete_erases_the_account(run: Run, app: Flask, client: FlaskClient, ada: User) -> None:
    token = log_in(client, ada)["access_token"]

    result = run("users", "delete", "ada@example.com", "--yes")

    assert result.output == "ada@example.com is deleted.\n"
    assert number_of_users(app) == 0
    assert problem(me(client, token)) == (401, "session_ended")


def test_the_last_superuser_is_not_deleted(run: Run, app: Flask, grace: User) -> None:
    assert "last active superuser" in refusal(run("users", "delete", grace.email, "--yes"))
    assert number_of_users(app) == 1


def test_reset_password_mails_a_link(run: Run, ada: User, mailbox: Mailbox) -> None:
    result = run("users", "reset-password", "ada@example.com")

    assert result.output == "A link is on its way to ada@example.com.\n"
    assert mailbox.token("reset-password", to="ada@example.com")


def test_sessions_are_listed_with_where_they_are(
    run: Run, client: FlaskClient, ada: User, bob: User
) -> None:
    client.post(
        f"{API}/auth/login",
        json={"username": "ada", "password": PASSWORD},
        headers={"User-Agent": "Browser"},
    )
    log_in(client, bob)

    head, *rows = run("users", "sessions", "ada@example.com").output.splitlines()
    (listed,) = json.loads(run("users", "sessions", "ada@example.com", "--json").stdout)

    assert head.split()[:3] == ["ID", "ADDRESS", "DEVICE"]
    assert len(rows) == 1
    assert (listed["ip"], listed["user_agent"]) == ("127.0.0.1", "Browser")
    assert listed["id"] in rows[0]


def test_end_sessions_signs_one_account_out(
    run: Run, client: FlaskClient, ada: User, bob: User
) -> None:
    adas, bobs = log_in(client, ada)["access_token"], log_in(client, bob)["access_token"]

    result = run("users", "end-sessions", "ada@example.com", "--yes")

    assert result.output == "ada@example.com is signed out everywhere.\n"
    assert problem(me(client, adas)) == (401, "session_ended")
    assert me(client, bobs).status_code == 200


def test_end_sessions_of_everybody(run: Run, client: FlaskClient, ada: User, bob: User) -> None:
    tokens = [log_in(client, user)["access_token"] for user in (ada, ada, bob)]

    result = run("users", "end-sessions", "--everybody", "--yes")

    assert result.stdout == "Ended 3 sessions.\n"
    assert "… 3 sessions so far" in result.stderr
    for token in tokens:
        assert problem(me(client, token)) == (401, "session_ended")
    assert log_in(client, ada)


@pytest.mark.postgresql
def test_end_sessions_of_everybody_waits_for_those_that_others_hold(
    app: Flask, run: Run, client: FlaskClient, ada: User, bob: User
) -> None:
    adas, bobs = (log_in(client, user)["access_token"] for user in (ada, bob))
    holding, done = Event(), Event()

    def hold() -> None:
        with app.app_context(), db.engine.begin() as connection:
            connection.execute(select(Session.id).with_for_update())
            holding.set()
            done.wait(1)

    holder = Thread(target=hold)
    holder.start()
    holding.wait(10)

    result = run("users", "end-sessions", "--everybody", "--yes")

    holder.join()
    assert (result.exit_code, result.stdout) == (0, "Ended 2 sessions.\n")
    assert "waiting for 2 sessions that other transactions hold" in result.stderr
    for token in (adas, bobs):
        assert problem(me(client, token)) == (401, "session_ended")


@pytest.mark.postgresql
def test_end_sessions_of_everybody_says_what_is_left(
    app: Flask, run: Run, client: FlaskClient, ada: User, bob: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    log_in(client, ada), log_in(client, bob)
    monkeypatch.setattr("app.cli.users.WAIT_FOR_HELD_SECONDS", 0.1)

    with app.app_context(), db.engine.begin() as connection:
        of_bob = select(Session.id).where(Session.user_id == bob.id)
        connection.execute(of_bob.with_for_update())
        result = run("users", "end-sessions", "--everybody", "--yes")

    assert (result.exit_code, result.stdout) == (1, "Ended 1 sessions.\n")
    assert "1 sessions are left: other transactions hold them." in result.stderr


def test_end_sessions_asks_first(run: Run, client: FlaskClient, ada: User) -> None:
    token = log_in(client, ada)["access_token"]

    run("users", "end-sessions", "ada@example.com", stdin="n\n")

    assert me(client, token).status_code == 200


@pytest.mark.parametrize("whose", [[], ["ada@example.com", "--everybody"]])
def test_end_sessions_wants_to_know_whose(run: Run, whose: list[str]) -> None:
    assert "Name a PERSON, or use --everybody." in refusal(
        run("users", "end-sessions", *whose, "--yes")
    )


@pytest.mark.parametrize(
    "command",
    [
        ["show"],
        ["delete", "--yes"],
        ["reset-password"],
        ["reset-factors", "--yes"],
        ["sessions"],
        ["end-sessions", "--yes"],
    ],
    ids=lambda command: command[0],
)
def test_these_too_say_that_nobody_has_the_address(run: Run, command: list[str]) -> None:
    result = run("users", *command, "nobody@example.com")

    assert "Nobody has the address nobody@example.com" in refusal(result)


def test_what_operators_do_is_recorded(run: Run, app: Flask, ada: User, grace: User) -> None:
    for command in (
        ("promote", "ada@example.com"),
        ("demote", "ada@example.com"),
        ("deactivate", "ada@example.com"),
        ("activate", "ada@example.com"),
        ("reset-password", "ada@example.com"),
        # It ends the link.
        ("end-sessions", "ada@example.com", "--yes"),
        ("delete", "ada@example.com", "--yes"),
    ):
        assert run("users", *command).exit_code == 0

    with app.app_context():
        events = db.session.scalars(db.select(AuditEvent).order_by(AuditEvent.id)).all()
    assert [event.event for event in events][:7] == [
        *("user_promoted", "user_demoted", "user_deactivated", "user_activated"),
        *("password_reset_asked", "sessions_ended", "user_deleted"),
    ]
    assert all((event.actor_id, event.details["via"]) == (None, "cli") for event in events[:7])
    assert all(event.subject_id == ada.id for event in events[:7])


# --help

COMMANDS = sorted(users.places)


def test_the_group_lists_its_commands(run: Run) -> None:
    result = run("users", "--help")

    assert result.exit_code == 0
    others = [
        "create",
        "list",
        "search",
        "show",
        "delete",
        "reset-password",
        "reset-factors",
        "sessions",
        "import",
        "export",
        *("identities", "keys"),
        *("edit", "invite", "link", "set-password", "stats", "suspended", "unlock", "verify"),
    ]
    assert sorted([*others, "end-sessions", *VERBS]) == COMMANDS
    assert [name for name in COMMANDS if f"  {name} " not in result.output] == []


@each("name", COMMANDS)
def test_every_command_says_what_it_does_and_what_each_option_is(run: Run, name: str) -> None:
    command = users.get_command(click.Context(users), name)
    assert command is not None
    options = [option for option in command.params if isinstance(option, click.Option)]

    result = run("users", name, "--help")

    assert result.exit_code == 0
    assert (command.help or "").split("\n")[0].endswith(".")
    assert [option.name for option in options if not option.help] == []
    words = " ".join(result.output.split())
    assert [option.name for option in options if (option.help or "") not in words] == []


def test_the_help_of_create_shows_how_a_script_does_it(run: Run) -> None:
    result = run("users", "create", "--help")

    assert "--password-stdin < password.txt" in result.output


# As an operator types it


def test_the_flask_command_makes_an_account_and_refuses_it_the_second_time(
    tmp_path: Path,
) -> None:
    environment = environment_for(**ENVIRONMENT, DATABASE_URL=f"sqlite:///{tmp_path / 'app.db'}")
    flask("db", "upgrade", environment=environment)
    options = ("--superuser", "--password-stdin", "--json")
    same_address = ("users", "create", "--email", "ADA@example.com", "--username", "lovelace")

    created = json.loads(flask(*ADA, *options, environment=environment, stdin=f"{PASSWORD}\n"))
    again = subprocess.run(
        [BIN / "flask", "--app", ROOT / "wsgi.py", *same_address, *options],
        env=environment,
        input=f"{PASSWORD}\n",
        capture_output=True,
        text=True,
        check=False,
    )

    assert (created["username"], created["is_superuser"]) == ("ada", True)
    assert again.returncode == 1
    assert again.stdout == ""
    assert again.stderr == "Error: Email already registered.\n"


@pytest.mark.parametrize("verb", ["delete", "end-sessions"])
def test_the_question_names_the_account_and_a_no_names_the_way_round_it(
    app: Flask, ada: User, verb: str
) -> None:
    result = app.test_cli_runner().invoke(args=["users", verb, "ada@example.com"], input="n\n")

    assert result.exit_code == 1
    assert "ada@example.com" in result.output.partition("?")[0]
    assert "Nothing was done. --yes answers the question." in result.output


@pytest.mark.parametrize("command", [["users", "show"], ["users", "sessions"]], ids=str)
def test_an_account_is_found_by_address_username_and_id(
    run: Run, ada: User, command: list[str]
) -> None:
    for name in ("ada@example.com", "ADA@Example.com", "ada", "Ada", str(ada.id)):
        assert run(*command, name).exit_code == 0, name


def test_a_number_that_names_two_accounts_names_neither(run: Run, app: Flask) -> None:
    ada = make_user(app, id=1234, username="ada", email="ada@example.com")
    make_user(app, username=str(ada.id), email="bob@example.com")

    assert refusal(run("users", "show", "1234")) == (
        "Error: 1234 is the id of ada@example.com and the username of bob@example.com. "
        "Give the address.\n"
    )


def test_a_username_of_digits_is_found(run: Run, app: Flask) -> None:
    make_user(app, username="4321", email="ada@example.com")

    assert "ada@example.com" in run("users", "show", "4321").stdout
