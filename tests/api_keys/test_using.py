"""What a program may do with an API key."""

from collections.abc import Callable
from typing import Any

import pytest
import time_machine
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy.exc import OperationalError

from app import clock as time
from app.access.guards import signed_in
from app.api_keys import opening
from app.extensions import db
from app.http.blueprint import Blueprint
from app.models import Role, Session, User
from tests.api_keys.calls import events, listed, rotate, rows
from tests.cases import each
from tests.factories import (
    API,
    bearer,
    give_role,
    log_in,
    make_role,
    me,
    permit,
    problem,
    take_roles,
)

Make = Callable[..., dict[str, Any]]


def users(client: FlaskClient, key: str, method: str = "GET", **body: Any) -> Any:
    return client.open(f"{API}/users", method=method, headers=bearer(key), json=body or None)


def test_a_key_reads_and_changes_the_profile_of_its_owner(
    client: FlaskClient, ada: User, make_key: Make
) -> None:
    key = make_key(ada)["key"]

    read = me(client, key)
    changed = client.patch(f"{API}/users/me", headers=bearer(key), json={"bio": "Numbers"})
    by_id = client.get(f"{API}/users/{ada.id}", headers=bearer(key))

    assert (read.status_code, read.json["username"]) == (200, "ada")
    assert (changed.status_code, changed.json["bio"]) == (200, "Numbers")
    assert by_id.json == changed.json


def test_a_request_with_a_key_is_one_statement_and_its_use_is_written_now_and_then(
    app: Flask,
    client: FlaskClient,
    ada: User,
    clock: time_machine.Traveller,
    make_key: Make,
    statements: list[str],
) -> None:
    permit(app, ada, "users:read")
    key = make_key(ada, "profile", "users:read")["key"]
    numbers = []
    for seconds in (0, 14 * 60, 59, 1):
        clock.shift(seconds)
        statements.clear()
        assert me(client, key).status_code == 200
        numbers.append(len(statements))

    statements.clear()
    assert client.get(f"{API}/roles/permissions", headers=bearer(key)).status_code == 403
    by_permission = len(statements)

    assert numbers == [2, 1, 1, 2]
    assert by_permission == 1
    [row] = rows(app)
    assert row.last_used_ip == "127.0.0.1"


def test_a_database_that_takes_no_writes_still_answers_a_key(
    client: FlaskClient, ada: User, make_key: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(**_: Any) -> None:
        raise OperationalError("UPDATE", {}, Exception("read-only"))

    key = make_key(ada)["key"]
    monkeypatch.setattr(opening.USED, "run_alone", refuse)

    assert me(client, key).status_code == 200


def test_a_wrong_checksum_is_refused_without_a_statement(
    client: FlaskClient, ada: User, make_key: Make, statements: list[str]
) -> None:
    key = make_key(ada)["key"]
    swapped = key[:20] + key[21] + key[20] + key[22:]
    statements.clear()

    for bad in (swapped, key[:-1], key + "0", key.replace("us_", "xy_"), "us_", "us_é" + key[4:]):
        if bad != key:
            assert problem(me(client, bad)) == (401, "invalid_token"), bad

    assert statements == []


def test_rights_are_those_of_the_scopes_that_the_owner_still_has(
    app: Flask, client: FlaskClient, ada: User, make_key: Make
) -> None:
    role = make_role(app, "clerk", "users:read", "users:write", "audit:read")
    give_role(app, ada, role)
    key = make_key(ada, "users:read", "users:write")["key"]
    guest = {"email": "vera@example.com", "username": "vera"}

    with_rights = [
        users(client, key).status_code,
        users(client, key, "POST", **guest).status_code,
        # The owner may, and the key has no such scope.
        problem(client.get(f"{API}/users/audit", headers=bearer(key))),
        problem(me(client, key)),
        problem(client.get(f"{API}/users/{ada.id}", headers=bearer(key))),
    ]
    take_roles(app, ada)

    assert with_rights == [
        200,
        201,
        (403, "not_enough_permissions"),
        (403, "not_enough_permissions"),
        (403, "not_enough_permissions"),
    ]
    assert problem(users(client, key)) == (403, "not_enough_permissions")
    refused = users(client, key, "POST", **guest | {"username": "other"})
    assert problem(refused) == (403, "not_enough_permissions")


def test_what_a_superuser_may_do_does_not_count(
    app: Flask, client: FlaskClient, grace: User, make_key: Make
) -> None:
    permit(app, grace, "users:write")
    key = make_key(grace, "users:write")["key"]
    admin = {"email": "x@example.com", "username": "another", "is_superuser": True}

    assert problem(users(client, key)) == (403, "not_enough_permissions")
    assert problem(users(client, key, "POST", **admin)) == (403, "key_not_allowed")


def test_the_log_names_the_key_with_which_something_was_done(
    app: Flask, client: FlaskClient, ada: User, make_key: Make
) -> None:
    made = make_key(ada)

    client.patch(f"{API}/users/me", headers=bearer(made["key"]), json={"bio": "Numbers"})

    [(_, subject, actor, details)] = events(app, "user_updated")
    assert (subject, actor, details["by_key"]) == (ada.id, ada.id, made["id"])


@each(
    "networks, remote, status",
    [
        (["203.0.113.0/24"], "203.0.113.9", 200),
        (["203.0.113.0/24"], "::ffff:203.0.113.9", 200),
        (["203.0.113.0/24", "2001:db8::/32"], "2001:db8::5", 200),
        (["203.0.113.0/24"], "203.0.114.9", 401),
        (["0.0.0.0/0"], "2001:db8::5", 401),
    ],
)
def test_a_key_works_in_its_networks_alone(
    client: FlaskClient,
    ada: User,
    make_key: Make,
    networks: list[str],
    remote: str,
    status: int,
) -> None:
    key = make_key(ada, networks=networks)["key"]

    answer = client.get(
        f"{API}/users/me", headers=bearer(key), environ_base={"REMOTE_ADDR": remote}
    )

    assert answer.status_code == status
    if status == 401:
        assert problem(answer) == (401, "invalid_token")


def test_a_role_that_requires_a_second_factor_counts_only_for_keys_made_with_one(
    app: Flask, client: FlaskClient, ada: User, make_key: Make, set_settings: Callable[..., None]
) -> None:
    role = make_role(app, "clerk", "users:read")
    give_role(app, ada, role)
    key = make_key(ada, "profile", "users:read")["key"]
    with app.app_context():
        db.session.get_one(Role, role.id).require_mfa = True
        db.session.commit()

    below = users(client, key)
    set_settings(mfa_required="all")
    demanded = client.patch(f"{API}/users/me", headers=bearer(key), json={})
    open_anyway = me(client, key)
    set_settings(mfa_required="none")
    with app.app_context():
        db.session.execute(db.text("UPDATE api_keys SET aal = 2"))
        db.session.commit()

    assert problem(below) == (403, "not_enough_permissions")
    assert problem(demanded) == (403, "key_not_allowed")
    assert open_anyway.status_code == 200
    assert users(client, key).status_code == 200


def test_a_replaced_key_keeps_its_level_during_the_overlap(
    app: Flask, client: FlaskClient, ada: User, make_key: Make
) -> None:
    role = make_role(app, "clerk", "users:read")
    give_role(app, ada, role)
    old = make_key(ada, "users:read")
    token = log_in(client, ada)["access_token"]
    with app.app_context():
        db.session.get_one(Role, role.id).require_mfa = True
        db.session.execute(db.text("UPDATE sessions SET aal = 2"))
        db.session.commit()

    new = rotate(client, token, old["id"], overlap_seconds=3600).json

    assert problem(users(client, old["key"])) == (403, "not_enough_permissions")
    assert users(client, new["key"]).status_code == 200


def test_the_session_of_a_key_never_becomes_a_row(app: Flask, ada: User, make_key: Make) -> None:
    made = make_key(ada)
    with app.test_request_context(headers=bearer(made["key"])):
        from app.access.guards import authenticate_request
        from app.access.scopes import PROFILE

        session = authenticate_request(keys=PROFILE)
        session.user.bio = "Numbers"
        with pytest.raises(TypeError, match="is not a row"):
            session.aal = 2
        db.session.commit()
        db.session.add(session)
        with pytest.raises(TypeError, match="is not a row"):
            session.amr = "pwd"
        db.session.commit()
        ids = db.session.scalars(db.select(Session.id)).all()

    assert made["id"] not in {str(one) for one in ids}


def test_a_call_that_says_nothing_about_keys_stops_the_start(app: Flask) -> None:
    from app.access import key_rules
    from config import SettingsRefused

    silent = Blueprint("silent", __name__)

    @silent.get("/silent")
    @signed_in
    @silent.returns(204)
    def say_nothing() -> None:
        """It says nothing."""

    other = Flask("other")
    other.register_blueprint(silent)

    with pytest.raises(SettingsRefused, match="The call GET /silent does not say whether API keys"):
        key_rules.check(other)


def test_a_plain_call_of_flask_refuses_keys(
    new_app: Callable[..., Flask], ada: User, make_key: Make
) -> None:
    from flask_jwt_extended import jwt_required

    key = make_key(ada)["key"]
    other = new_app()
    other.get("/plain")(jwt_required()(lambda: "opened"))

    assert problem(other.test_client().get("/plain", headers=bearer(key))) == (
        403,
        "key_not_allowed",
    )


def test_a_key_in_another_place_opens_nothing(
    client: FlaskClient, ada: User, make_key: Make
) -> None:
    key = make_key(ada)["key"]

    assert client.get(f"{API}/users/me?access_token={key}").status_code == 401
    client.set_cookie("__Host-session", key)
    assert client.get(f"{API}/users/me").status_code == 401


def test_a_key_is_listed_with_its_last_use(client: FlaskClient, ada: User, make_key: Make) -> None:
    key = make_key(ada)["key"]
    me(client, key)

    [seen] = listed(client, log_in(client, ada)["access_token"])

    assert (seen["last_used_ip"], seen["last_used_at"] is None) == ("127.0.0.1", False)


def test_a_key_made_with_a_factor_counts_less_once_no_factor_is_left(
    app: Flask, client: FlaskClient, ada: User, grace: User, make_key: Make
) -> None:
    role = make_role(app, "clerk", "users:read")
    give_role(app, ada, role)
    made = make_key(ada, "users:read")
    token = log_in(client, ada)["access_token"]
    new = rotate(client, token, made["id"], overlap_seconds=3600).json
    with app.app_context():
        db.session.get_one(Role, role.id).require_mfa = True
        db.session.get_one(User, ada.id).second_step_at = time.now()
        db.session.execute(db.text("UPDATE api_keys SET aal = 2, previous_aal = 2"))
        db.session.commit()
    before = [users(client, one["key"]).status_code for one in (made, new)]
    by_grace = bearer(log_in(client, grace)["access_token"])

    reset = client.delete(f"{API}/users/{ada.id}/factors", headers=by_grace)

    assert (before, reset.status_code) == ([200, 200], 204)
    for one in (made, new):
        assert problem(users(client, one["key"])) == (403, "not_enough_permissions")


def test_a_write_with_a_key_that_was_replaced_meanwhile_is_refused(
    app: Flask, client: FlaskClient, ada: User, make_key: Make
) -> None:
    made = make_key(ada)
    headers = bearer(log_in(client, ada)["access_token"])
    with app.app_context():
        old = opening.open_session(made["key"])
    path = f"{API}/auth/keys/{made['id']}/rotate"

    lived = []
    for overlap in (60, 0):
        client.post(path, headers=headers, json={"overlap_seconds": overlap})
        with app.app_context():
            lived.append(opening.lives(old))

    assert lived == [True, False]
