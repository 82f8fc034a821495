"""Stories of a thief and an owner: what an administrator, or the owner, ends.

Ada is the owner. The thief knows her password and is signed in; Bob's account
is another one that the thief has.
"""

from collections.abc import Callable

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select
from werkzeug.test import TestResponse

from app.auth.mfa.models import MfaTicket
from app.auth.mfa.remembered_devices.models import RememberedDevice
from app.extensions import db
from app.models import Session, User
from app.security.one_time_tokens import Purpose
from tests.auth.mfa.phone import enrol, go_on, ticket_of
from tests.auth.rescuing import OLD, OWN, THIEFS, Thief, holder_of, issue, reset
from tests.factories import API, PASSWORD, bearer, log_in, problem
from tests.mailbox import Mailbox

PATHS = {
    Purpose.PASSWORD_RESET: "/auth/password/reset",
    Purpose.ACCOUNT_RECOVERY: "/auth/password/reset",
    Purpose.INVITATION: "/auth/password/reset",
    Purpose.EMAIL_VERIFICATION: "/auth/email/verify",
    Purpose.EMAIL_CHANGE: "/auth/email/change/confirm",
    Purpose.EMAIL_UNDO: "/auth/email/change/cancel",
    Purpose.NOT_ME: "/auth/not-me",
}
LASTING = (Purpose.EMAIL_UNDO, Purpose.NOT_ME)


def use(client: FlaskClient, purpose: Purpose, token: str) -> TestResponse:
    body = {"token": token}
    if PATHS[purpose].endswith("reset"):
        body["new_password"] = OWN
    return client.post(API + PATHS[purpose], json=body)


def links_of(app: Flask, user: User) -> dict[Purpose, str]:
    """One of each kind; the change leads to the thief's mailbox."""
    return {
        purpose: issue(app, user, purpose, THIEFS if purpose is Purpose.EMAIL_CHANGE else OLD)
        for purpose in Purpose
    }


@pytest.fixture(
    params=["deactivated", "signed out", "deactivate", "end-sessions", "end-sessions --everybody"]
)
def shut_out(
    request: pytest.FixtureRequest, app: Flask, client: FlaskClient, ada: User, grace: User
) -> Callable[[], None]:
    """What an administrator or an operator does."""

    def shut_out() -> None:
        if request.param in ("deactivated", "signed out"):
            headers = bearer(log_in(client, grace)["access_token"])
            response = (
                client.patch(f"{API}/users/{ada.id}", json={"is_active": False}, headers=headers)
                if request.param == "deactivated"
                else client.delete(f"{API}/users/{ada.id}/sessions", headers=headers)
            )
            assert response.status_code < 300, response.text
            return
        command, *options = request.param.split()
        target = [] if options else [OLD]
        if command == "end-sessions":
            target.append("--yes")
        result = app.test_cli_runner().invoke(args=["users", command, *options, *target])
        assert result.exit_code == 0, result.output

    return shut_out


@pytest.mark.parametrize("purpose", Purpose)
def test_shutting_somebody_out_ends_every_mailed_link_but_those_that_undo(
    app: Flask, client: FlaskClient, ada: User, shut_out: Callable[[], None], purpose: Purpose
) -> None:
    links = links_of(app, ada)

    shut_out()

    response = use(client, purpose, links[purpose])
    if purpose in LASTING:
        assert response.status_code == 204
    else:
        assert problem(response) == (400, "invalid_link")


def test_shutting_somebody_out_leaves_nothing_with_which_a_thief_skips_the_second_step(
    app: Flask, client: FlaskClient, ada: User, shut_out: Callable[[], None]
) -> None:
    code = enrol(client, ada).recovery_codes[0]
    assert go_on(client, ticket_of(client, ada), recovery_code=code, remember_device=True).json
    ticket_of(client, ada)

    shut_out()

    with app.app_context():
        assert db.session.scalars(select(MfaTicket)).all() == []
        assert db.session.scalars(select(RememberedDevice)).all() == []
        mine = db.session.scalars(select(Session).where(Session.user_id == ada.id)).all()
        assert not any(session.is_live for session in mine)


@pytest.mark.parametrize("purpose", [purpose for purpose in Purpose if purpose not in LASTING])
def test_activating_an_account_again_revives_no_link(
    app: Flask, client: FlaskClient, ada: User, grace: User, purpose: Purpose
) -> None:
    links = links_of(app, ada)

    for command in ("deactivate", "activate"):
        assert app.test_cli_runner().invoke(args=["users", command, OLD]).exit_code == 0

    assert problem(use(client, purpose, links[purpose])) == (400, "invalid_link")


@pytest.mark.parametrize("purpose", Purpose)
def test_while_an_account_is_deactivated_only_links_that_undo_work(
    app: Flask, client: FlaskClient, ada: User, grace: User, purpose: Purpose
) -> None:
    assert app.test_cli_runner().invoke(args=["users", "deactivate", OLD]).exit_code == 0
    links = links_of(app, ada)

    response = use(client, purpose, links[purpose])

    if purpose in LASTING:
        assert response.status_code == 204
    else:
        assert problem(response) == (400, "invalid_link")
        with app.app_context():
            user = db.session.get_one(User, ada.id)
            assert (user.email, user.is_active) == (OLD, False)
    assert problem(thief_tries(client)) in [(400, "inactive_user"), (401, "invalid_credentials")]


def thief_tries(client: FlaskClient) -> TestResponse:
    return client.post(f"{API}/auth/login", json={"username": "ada", "password": PASSWORD})


def test_a_change_of_address_does_not_outlive_the_owners_global_logout(
    app: Flask, client: FlaskClient, ada: User, mailbox: Mailbox, thief: Thief
) -> None:
    pair = log_in(client, ada)
    thief.log_in()
    thief.ask_to_move()
    waiting = mailbox.token("confirm-email", to=THIEFS)
    link = issue(app, ada, Purpose.PASSWORD_RESET, OLD)

    client.post(f"{API}/auth/logout?scope=global", headers=bearer(pair["access_token"]))

    response = thief.post("/auth/email/change/confirm", {"token": waiting})
    assert problem(response) == (400, "invalid_link")
    assert holder_of(app, OLD) == ada.id
    # The thief can log out everywhere as well, and must not kill the owner's link by it.
    assert reset(client, link).status_code == 204


@pytest.mark.parametrize("scope", ["local", "others"])
def test_a_logout_of_some_devices_leaves_a_change_of_address_alone(
    client: FlaskClient, ada: User, mailbox: Mailbox, thief: Thief, scope: str
) -> None:
    thief.log_in()
    thief.ask_to_move()
    waiting = mailbox.token("confirm-email", to=THIEFS)

    client.post(f"{API}/auth/logout?scope={scope}", headers=bearer(thief.pair["access_token"]))

    response = thief.post("/auth/email/change/confirm", {"token": waiting})
    assert response.status_code == 204
