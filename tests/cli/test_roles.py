"""flask roles …"""

import json
from collections.abc import Callable

import click
import pytest
from click.testing import Result
from flask import Flask
from flask.testing import FlaskClient

from app.cli.roles import roles
from app.extensions import db
from app.models import AuditEvent, User
from tests.cases import each
from tests.factories import API, bearer, give_role, log_in, make_role

Run = Callable[..., Result]


@pytest.fixture
def run(app: Flask) -> Run:
    """Run a command of ``flask roles`` against the test database."""

    def command(*arguments: str, stdin: str = "") -> Result:
        return app.test_cli_runner().invoke(args=("roles", *arguments), input=stdin)

    return command


def refusal(result: Result) -> str:
    """What a refused command says, as a sentence and not as a traceback."""
    assert result.exit_code != 0
    assert isinstance(result.exception, SystemExit), result.exception
    assert result.stdout == ""
    return result.stderr


def test_create_makes_a_role(run: Run) -> None:
    made = run("create", "support", "users:read", "sessions:read", "--description", "First level")

    assert made.output == "Made the role support.\n"
    (listed,) = json.loads(run("list", "--json").stdout)
    assert (listed["name"], listed["description"]) == ("support", "First level")
    assert listed["permissions"] == ["sessions:read", "users:read"]


def test_create_prints_json_for_scripts(run: Run) -> None:
    made = json.loads(run("create", "support", "users:read", "--json").stdout)

    assert made == json.loads(run("list", "--json").stdout)[0]


def test_list_shows_what_each_role_allows(run: Run, app: Flask) -> None:
    make_role(app, "support", "users:read", "sessions:read")
    make_role(app, "auditor", "audit:read")

    head, *rows = run("list").output.splitlines()

    assert head.split() == ["ID", "NAME", "REQUIRES", "MFA", "PERMISSIONS", "DESCRIPTION"]
    assert [row.split()[1:] for row in rows] == [
        ["auditor", "no", "audit:read"],
        ["support", "no", "sessions:read,", "users:read"],
    ]


def test_permissions_lists_them_with_what_they_allow(run: Run) -> None:
    lines = run("permissions").output.splitlines()
    listed = json.loads(run("permissions", "--json").stdout)

    assert any(line.startswith("users:read ") and "See all accounts." in line for line in lines)
    assert {"name": "users:read", "description": "See all accounts."} in listed


def test_show_says_what_a_role_allows_and_how_many_have_it(
    run: Run, app: Flask, ada: User, bob: User
) -> None:
    role = make_role(app, "support", "users:read")
    give_role(app, ada, role)
    give_role(app, bob, role)

    lines = run("show", "support").output.splitlines()
    shown = json.loads(run("show", "support", "--json").stdout)

    assert lines[1:] == [
        "name: support",
        "description:",
        "permissions: users:read",
        "require_mfa: no",
        "people: 2",
    ]
    assert (shown["name"], shown["people"]) == ("support", 2)


def test_a_role_may_need_a_second_factor(run: Run, app: Flask) -> None:
    made = json.loads(run("create", "support", "users:read", "--require-mfa", "--json").stdout)
    needed = run("show", "support").output
    edited = run("edit", "support", "--no-require-mfa")
    other = json.loads(run("create", "auditor", "audit:read", "--json").stdout)

    assert made["require_mfa"] is True
    assert "require_mfa: yes" in needed
    assert edited.output == "The role support does not need a second factor.\n"
    assert json.loads(run("show", "support", "--json").stdout)["require_mfa"] is False
    assert other["require_mfa"] is False
    with app.app_context():
        events = db.session.scalars(db.select(AuditEvent).order_by(AuditEvent.id)).all()
    assert [event.details.get("require_mfa") for event in events] == [
        *(True, {"from": True, "to": False}, None)
    ]


def test_edit_wants_to_know_what(run: Run, app: Flask) -> None:
    make_role(app, "support")

    assert "--require-mfa" in refusal(run("edit", "support"))


def test_grant_and_revoke_count_from_the_next_request_on(
    run: Run, app: Flask, client: FlaskClient, ada: User
) -> None:
    give_role(app, ada, make_role(app, "support", "sessions:read"))
    headers = bearer(log_in(client, ada)["access_token"])

    granted = run("grant", "support", "users:read")
    allowed = client.get(f"{API}/users", headers=headers)
    revoked = run("revoke", "support", "users:read", "sessions:read")
    refused = client.get(f"{API}/users", headers=headers)

    assert granted.output == "The role support allows sessions:read, users:read.\n"
    assert revoked.output == "The role support allows nothing.\n"
    assert (allowed.status_code, refused.status_code) == (200, 403)


def test_a_permission_that_nobody_declares_any_more_can_be_revoked(run: Run, app: Flask) -> None:
    make_role(app, "old", "notes:read", "users:read")

    assert run("revoke", "old", "notes:read").output == "The role old allows users:read.\n"


def test_assign_and_unassign_leave_other_roles_alone(run: Run, app: Flask, ada: User) -> None:
    for name in ("one", "two", "three"):
        make_role(app, name)

    assert (
        run("assign", "Ada@example.com", "one", "two").output == "ada@example.com has one, two.\n"
    )
    assert run("assign", ada.email, "three").output == "ada@example.com has one, two, three.\n"
    assert run("unassign", ada.email, "one", "three").output == "ada@example.com has two.\n"
    assert run("unassign", ada.email, "two").output == "ada@example.com has no role.\n"


def test_delete_asks_first(run: Run, app: Flask) -> None:
    make_role(app, "support")

    asked = run("delete", "support", stdin="n\n")
    deleted = run("delete", "support", "--yes")

    assert asked.exit_code == 1
    assert deleted.output == "The role support is deleted.\n"
    assert json.loads(run("list", "--json").stdout) == []


@pytest.mark.parametrize(
    "command",
    [
        ["show", "nothing"],
        ["edit", "nothing", "--require-mfa"],
        ["grant", "nothing", "users:read"],
        ["revoke", "nothing", "users:read"],
        ["delete", "nothing", "--yes"],
        ["assign", "ada@example.com", "nothing"],
        ["unassign", "ada@example.com", "nothing"],
    ],
    ids=lambda command: command[0],
)
def test_a_role_that_is_not_there_is_named(run: Run, ada: User, command: list[str]) -> None:
    assert refusal(run(*command)) == "Error: There is no role nothing.\n"


@pytest.mark.parametrize("verb", ["assign", "unassign"])
def test_an_address_that_nobody_has_is_named(run: Run, app: Flask, verb: str) -> None:
    make_role(app, "support")

    assert refusal(run(verb, "nobody@example.com", "support")) == (
        "Error: Nobody has the address nobody@example.com.\n"
    )


def test_a_permission_that_is_none_is_refused(run: Run, app: Flask) -> None:
    make_role(app, "support")

    for command in (["create", "other"], ["grant", "support"]):
        assert "There is no permission users:fly." in refusal(run(*command, "users:fly"))


def test_a_name_that_is_none_or_taken_is_refused(run: Run, app: Flask) -> None:
    make_role(app, "support")

    assert "There is already a role with this name" in refusal(run("create", "support"))
    assert "name: Must consist of lower-case letters" in refusal(run("create", "First Level"))


def test_what_operators_do_is_recorded(run: Run, app: Flask, ada: User) -> None:
    run("create", "support", "users:read")
    run("grant", "support", "audit:read")
    run("assign", ada.email, "support")
    run("delete", "support", "--yes")

    with app.app_context():
        events = db.session.scalars(db.select(AuditEvent).order_by(AuditEvent.id)).all()
    assert [(event.event, event.subject_id) for event in events] == [
        ("role_created", None),
        ("role_changed", None),
        ("roles_changed", ada.id),
        ("role_deleted", None),
    ]
    assert all((event.actor_id, event.details["via"]) == (None, "cli") for event in events)


@each("name", sorted(roles.commands))
def test_every_command_says_what_it_does_and_what_each_option_is(run: Run, name: str) -> None:
    command = roles.commands[name]
    options = [option for option in command.params if isinstance(option, click.Option)]

    result = run(name, "--help")

    assert result.exit_code == 0
    assert (command.help or "").split("\n")[0].endswith(".")
    assert [option.name for option in options if not option.help] == []
