"""Who ran a command, and who may see it."""

import pytest
from flask import Flask
from flask.testing import FlaskClient

from app.audit import operators
from app.audit.operators import Operator
from app.extensions import db
from app.models import AuditEvent, User
from tests.cases import each
from tests.factories import API, bearer, log_in

SSH = {"SSH_CONNECTION": "203.0.113.40 50022 10.0.0.1 22", "USER": "heidi"}


@each(
    "variables, operator",
    [
        (SSH, Operator("heidi", "203.0.113.40")),
        # `sudo -E` keeps the connection, and USER is root then.
        (SSH | {"USER": "root", "SUDO_USER": "heidi"}, Operator("heidi", "203.0.113.40")),
        ({"USER": "root", "SUDO_USER": "heidi"}, Operator("heidi")),
        ({"SSH_CONNECTION": "fe80::1%eth0 1 fe80::2 22"}, Operator(ip="fe80::1")),
        # A service, not a person.
        ({"USER": "app"}, Operator()),
        ({"SSH_CONNECTION": "", "SUDO_USER": ""}, Operator()),
        ({"SSH_CONNECTION": "nowhere", "USER": "\x1b[2J"}, Operator()),
        ({"SUDO_USER": "x" * 101}, Operator()),
    ],
)
def test_a_shell_says_who_uses_it(variables: dict[str, str], operator: Operator) -> None:
    assert operators.of(variables) == operator


@pytest.mark.postgresql
def test_the_log_names_the_operator_and_the_owner_sees_neither_name_nor_address(
    app: Flask, client: FlaskClient, ada: User
) -> None:
    token = log_in(client, ada)["access_token"]

    runner = app.test_cli_runner(env=SSH)
    runner.invoke(args=("users", "edit", "ada", "--email", "ada@example.org", "--verified"))

    with app.app_context():
        [event] = db.session.scalars(db.select(AuditEvent).filter_by(event="email_changed"))
    assert (event.details["operator"], event.ip) == ("heidi", "203.0.113.40")
    answer = client.get(f"{API}/users/me/activity", headers=bearer(token))
    export = client.get(f"{API}/users/me/export", headers=bearer(token))
    for told in (answer.json["items"], export.json["audit_events"]):
        [shown] = [event for event in told if event["event"] == "email_changed"]
        assert shown["details"] == {"via": "cli", "email": "ada@example.org"}
        assert shown["ip"] is None
    assert operators.current() == Operator()
