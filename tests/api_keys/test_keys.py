"""Making, changing, replacing and revoking API keys."""

import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from flask import Flask
from flask.testing import FlaskClient

from app import clock as time
from app.api_keys import form, keys, networks
from app.extensions import db
from app.models import OutboxMessage, User
from app.security import random_tokens
from tests.api_keys.calls import KEYS, create, events, listed, rotate, rows
from tests.cases import each
from tests.doctor.test_checks import found
from tests.factories import (
    API,
    bearer,
    log_in,
    make_user,
    me,
    permit,
    problem,
    refresh,
    refused_fields,
)
from tests.mailbox import Mailbox

Make = Callable[..., dict[str, Any]]
# As docs/api-keys.md publishes it.
FORM = re.compile(r"us_[0-9A-Za-z]{46}")
SHAPE = {
    "id", "name", "prefix", "last4", "scopes", "networks",
    "created_at", "expires_at", "last_used_at", "last_used_ip",
}  # fmt: skip


@pytest.fixture
def token(client: FlaskClient, ada: User) -> str:
    access: str = log_in(client, ada)["access_token"]
    return access


# Making


def test_a_key_is_shown_once_and_stored_as_a_digest(
    app: Flask, client: FlaskClient, ada: User, token: str, mailbox: Mailbox
) -> None:
    answer = create(client, token, networks=["203.0.113.7", "2001:db8::/32"])

    made = answer.json
    key = made.pop("key")
    assert answer.status_code == 201
    assert answer.headers["Cache-Control"] == "no-store"
    assert FORM.fullmatch(key)
    assert made.keys() == SHAPE
    assert (made["prefix"], made["last4"]) == (key[:7], key[39:43])
    assert (made["name"], made["scopes"]) == ("Backup", ["profile"])
    assert made["networks"] == ["203.0.113.7/32", "2001:db8::/32"]
    assert listed(client, token) == [made]
    [row] = rows(app)
    assert row.key_hash == random_tokens.digest(key)
    assert row.expires_at - row.created_at == timedelta(days=90)
    [(_, subject, actor, details)] = events(app, "key_made")
    assert (subject, actor, details["key_id"]) == (ada.id, ada.id, made["id"])
    [mail] = mailbox.deliver()
    assert f"{key[:7]}…{key[39:43]}" in mail.text
    assert key not in mail.text
    assert "Backup" not in mail.text


def test_the_checksum_is_the_crc_32_in_base_62() -> None:
    assert form.checksum("0" * 40) == "2kaqcA"
    assert form.checksum(f"{356:040}") == "00U3y3"


@each(
    "body, fields",
    [
        ({"scopes": []}, {"#/scopes": "too_few"}),
        ({"scopes": ["users:all"]}, {"#/scopes/0": "unknown_scope"}),
        ({"scopes": ["profile", 7]}, {"#/scopes/1": "invalid"}),
        ({"scopes": "profile"}, {"#/scopes": "invalid"}),
        ({"name": "x" * 101}, {"#/name": "too_long"}),
        ({"name": None}, {"#/name": "null"}),
        ({"expires_in_days": 0}, {"#/expires_in_days": "out_of_range"}),
        ({"expires_in_days": 367}, {"#/expires_in_days": "out_of_range"}),
        ({"expires_in_days": True}, {"#/expires_in_days": "invalid"}),
        ({"networks": ["203.0.113.7/24"]}, {"#/networks/0": "invalid_network"}),
        ({"networks": ["fe80::1%eth0"]}, {"#/networks/0": "invalid_network"}),
        ({"networks": ["10.0.0.0/8"] * 21}, {"#/networks": "too_many"}),
    ],
)
def test_what_no_key_can_have_is_refused(
    client: FlaskClient, token: str, body: dict[str, Any], fields: dict[str, str]
) -> None:
    assert refused_fields(create(client, token, **body)) == fields


def test_a_key_may_have_what_a_role_gives_and_nothing_more(
    app: Flask, client: FlaskClient, ada: User, grace: User, token: str
) -> None:
    before = create(client, token, scopes=["users:read"])
    permit(app, ada, "users:read")
    after = create(client, token, scopes=["users:read", "profile", "users:read"])
    of_superuser = log_in(client, grace)["access_token"]

    assert problem(before) == (403, "not_enough_permissions")
    assert after.json["scopes"] == ["profile", "users:read"]
    assert problem(create(client, of_superuser, scopes=["users:read"])) == problem(before)


def test_a_key_that_is_asked_for_twice_is_made_once(
    app: Flask, client: FlaskClient, token: str
) -> None:
    headers = bearer(token) | {"Idempotency-Key": "once"}
    body = {"name": "Backup", "scopes": ["profile"]}

    first, second = (client.post(KEYS, headers=headers, json=body) for _ in range(2))

    assert first.status_code == 201
    assert problem(second) == (409, "idempotency_key_used")
    assert len(rows(app)) == 1


def test_who_did_not_log_in_lately_makes_no_key(client: FlaskClient, ada: User) -> None:
    stale = refresh(client, log_in(client, ada)["refresh_token"]).json["access_token"]

    assert problem(create(client, stale)) == (401, "fresh_token_required")


# Changing and revoking


def test_a_key_gets_another_name_and_other_networks(
    app: Flask, client: FlaskClient, token: str
) -> None:
    made = create(client, token).json

    answer = client.patch(
        f"{KEYS}/{made['id']}",
        headers=bearer(token),
        json={"name": "Nightly", "networks": ["10.1.0.0/16"]},
    )

    assert answer.status_code == 200
    assert (answer.json["name"], answer.json["networks"]) == ("Nightly", ["10.1.0.0/16"])
    assert problem(me(client, made["key"])) == (401, "invalid_token")
    [(_, _, _, details)] = events(app, "key_changed")
    assert details["fields"] == ["name", "networks"]


@each(
    "before, now, is_told",
    [
        ([], ["10.0.0.0/8"], False),
        (["10.0.0.0/8"], ["10.1.0.0/16", "10.2.0.1"], False),
        (["10.1.0.0/16", "2001:db8::/32"], ["2001:db8:1::/48"], False),
        (["10.1.0.0/16"], ["10.1.0.0/16", "2001:db8::/32"], True),
        (["10.1.0.0/16"], ["10.0.0.0/15"], True),
        (["10.1.0.0/16"], [], True),
    ],
)
def test_the_owner_is_told_of_a_key_that_works_from_more_networks(
    before: list[str], now: list[str], is_told: bool
) -> None:
    assert networks.widens(" ".join(before), " ".join(now)) == is_told


def test_the_mail_of_wider_networks_names_the_key(
    client: FlaskClient, token: str, mailbox: Mailbox
) -> None:
    made = create(client, token, networks=["10.1.0.0/16"]).json
    mailbox.deliver()

    client.patch(f"{KEYS}/{made['id']}", headers=bearer(token), json={"networks": []})

    [mail] = mailbox.deliver()
    assert mail.subject == "An API key of your account works from more networks"
    assert f"{made['prefix']}…{made['last4']}" in mail.text
    assert mail.page == "not-me"


def test_no_mail_of_a_key_quotes_its_name(
    client: FlaskClient, token: str, mailbox: Mailbox
) -> None:
    """A stranger may have chosen it."""
    made = create(client, token, name="Call 0800", networks=["10.1.0.0/16"]).json
    path = f"{KEYS}/{made['id']}"
    client.patch(path, headers=bearer(token), json={"name": "evil.example", "networks": []})
    key = rotate(client, token, made["id"]).json["key"]
    client.post(f"{API}/auth/revoke", data={"token": key})

    mails = [mail for mail in mailbox.deliver() if "API key" in mail.subject]

    assert len(mails) == 4
    assert not any(name in mail.text for name in ("0800", "evil") for mail in mails)


def test_a_revoked_key_is_dead(app: Flask, client: FlaskClient, token: str) -> None:
    made = create(client, token).json
    path = f"{KEYS}/{made['id']}"

    assert client.delete(path, headers=bearer(token)).status_code == 204

    assert problem(me(client, made["key"])) == (401, "invalid_token")
    assert listed(client, token) == []
    assert problem(client.delete(path, headers=bearer(token))) == (404, "not_found")
    assert len(events(app, "key_revoked")) == 1


def test_the_key_of_somebody_else_is_not_there(
    client: FlaskClient, bob: User, token: str, make_key: Make
) -> None:
    path = f"{KEYS}/{make_key(bob)['id']}"

    answers = [
        client.patch(path, headers=bearer(token), json={"name": "Mine"}),
        client.post(f"{path}/rotate", headers=bearer(token), json={}),
        client.delete(path, headers=bearer(token)),
    ]

    assert [problem(answer) for answer in answers] == [(404, "not_found")] * 3


# Replacing


def test_two_keys_work_until_the_overlap_ends(
    client: FlaskClient, ada: User, token: str, clock: time_machine.Traveller, make_key: Make
) -> None:
    made = make_key(ada)
    token = log_in(client, ada)["access_token"]

    rotated = rotate(client, token, made["id"], overlap_seconds=3600)

    assert rotated.status_code == 201
    assert rotated.json["id"] == made["id"]
    assert rotated.json["prefix"] == rotated.json["key"][:7] != made["prefix"]
    clock.shift(3599)
    assert [me(client, key).status_code for key in (made["key"], rotated.json["key"])] == [200, 200]
    clock.shift(1)
    assert problem(me(client, made["key"])) == (401, "invalid_token")
    assert me(client, rotated.json["key"]).status_code == 200


def test_a_second_rotation_ends_the_first_overlap_and_none_means_at_once(
    client: FlaskClient, token: str
) -> None:
    first = create(client, token).json
    second = rotate(client, token, first["id"], overlap_seconds=3600).json
    third = rotate(client, token, first["id"], overlap_seconds=3600).json
    alive = [me(client, each["key"]).status_code for each in (first, second, third)]
    fourth = rotate(client, token, first["id"]).json

    assert alive == [401, 200, 200]
    assert [me(client, each["key"]).status_code for each in (second, third, fourth)] == [
        401,
        401,
        200,
    ]
    too_long = rotate(client, token, first["id"], overlap_seconds=86401)
    assert refused_fields(too_long) == {"#/overlap_seconds": "out_of_range"}


def test_a_rotated_key_begins_its_time_again(
    app: Flask, client: FlaskClient, ada: User, clock: time_machine.Traveller, make_key: Make
) -> None:
    made = make_key(ada, expires_in_days=10)
    clock.shift(timedelta(days=9))
    token = log_in(client, ada)["access_token"]

    rotate(client, token, made["id"], overlap_seconds=86400 * 1)

    [row] = rows(app)
    assert row.expires_at - time.now() == timedelta(days=10)
    assert row.previous_expires_at is not None
    assert row.previous_expires_at - time.now() == timedelta(days=1)


def test_an_expired_key_is_replaced_only_where_one_more_may_work(
    client: FlaskClient,
    ada: User,
    clock: time_machine.Traveller,
    make_key: Make,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(keys, "MOST_KEYS", 1)
    expired = make_key(ada, expires_in_days=1)
    clock.shift(timedelta(days=1))
    living = make_key(ada)
    token = log_in(client, ada)["access_token"]

    answers = [rotate(client, token, one["id"]) for one in (expired, living)]

    assert problem(answers[0]) == (409, "too_many_keys")
    assert answers[1].status_code == 201


def test_who_lost_a_right_cannot_replace_a_key_that_names_it(
    app: Flask, client: FlaskClient, ada: User, token: str
) -> None:
    permit(app, ada, "users:read")
    made = create(client, token, scopes=["users:read"]).json
    with app.app_context():
        db.session.execute(db.text("DELETE FROM user_roles"))
        db.session.commit()

    assert problem(rotate(client, token, made["id"])) == (403, "not_enough_permissions")


# Who finds a key


def test_who_has_a_key_may_end_it_and_the_owner_is_told(
    app: Flask, client: FlaskClient, token: str, mailbox: Mailbox
) -> None:
    made = create(client, token).json
    mailbox.deliver()

    answer = client.post(f"{API}/auth/revoke", data={"token": made["key"]})
    again = client.post(f"{API}/auth/revoke", data={"token": made["key"]})

    assert (answer.status_code, again.status_code) == (200, 200)
    assert problem(me(client, made["key"])) == (401, "invalid_token")
    [mail] = mailbox.deliver()
    assert mail.subject == "An API key of your account was revoked"
    assert mail.page == "not-me"
    assert len(events(app, "key_reported")) == 1


def test_who_finds_an_old_key_does_not_stop_the_new_one(client: FlaskClient, token: str) -> None:
    old = create(client, token).json
    new = rotate(client, token, old["id"], overlap_seconds=3600).json

    client.post(f"{API}/auth/revoke", data={"token": old["key"]})

    assert problem(me(client, old["key"])) == (401, "invalid_token")
    assert me(client, new["key"]).status_code == 200


# The end


def test_the_owner_is_told_a_week_before_a_key_ends(
    client: FlaskClient,
    ada: User,
    bob: User,
    clock: time_machine.Traveller,
    make_key: Make,
    mailbox: Mailbox,
) -> None:
    """Bob is not: nobody has confirmed his address."""
    make_key(bob, expires_in_days=30)
    make_key(ada, expires_in_days=5)
    ending, revoked = make_key(ada, expires_in_days=30), make_key(ada, expires_in_days=30)
    token = log_in(client, ada)["access_token"]
    client.delete(f"{KEYS}/{revoked['id']}", headers=bearer(token))
    clock.shift(timedelta(days=23, seconds=-1))
    before = [mail.subject for mail in mailbox.deliver()]

    clock.shift(2)
    told = mailbox.deliver()

    assert "An API key of your account ends soon" not in before
    [mail] = told
    assert mail.subject == "An API key of your account ends soon"
    assert f"{ending['prefix']}…{ending['last4']}: until 2026-12-27 12:00 UTC" in mail.text
    assert revoked["prefix"] not in mail.text
    assert mailbox.deliver() == []


def test_of_keys_that_end_in_the_same_hour_one_reminder_waits(
    app: Flask, ada: User, clock: time_machine.Traveller, make_key: Make
) -> None:
    """Otherwise somebody who makes keys all day leaves a row for each until next year."""
    for seconds in (0, 60, 3600):
        clock.shift(seconds)
        make_key(ada)

    with app.app_context():
        waiting = db.select(OutboxMessage).where(OutboxMessage.message == "key_end_due")
        assert len(db.session.scalars(waiting).all()) == 2


def test_an_expired_key_is_listed_for_a_while(
    app: Flask, client: FlaskClient, ada: User, clock: time_machine.Traveller, make_key: Make
) -> None:
    key = make_key(ada, expires_in_days=1)["key"]
    clock.shift(timedelta(days=1))
    expired = me(client, key)
    prune = app.test_cli_runner().invoke(args=["prune"]).output
    kept = len(rows(app))
    clock.shift(timedelta(days=30, seconds=1))
    pruned = app.test_cli_runner().invoke(args=["prune"]).output

    assert problem(expired) == (401, "token_expired")
    assert "Removed 0 api keys." in prune
    assert kept == 1
    assert "Removed 1 api keys." in pruned
    assert rows(app) == []


def test_the_export_has_the_keys_without_what_opens(client: FlaskClient, token: str) -> None:
    made = create(client, token).json

    held = client.get(f"{API}/users/me/export", headers=bearer(token)).json["api_keys"]

    [one] = held
    assert (one["name"], one["prefix"], one["scopes"]) == ("Backup", made["prefix"], ["profile"])
    assert "hash" not in str(held)


# Administrators and operators


def test_an_administrator_sees_and_revokes_keys_of_others(
    app: Flask, client: FlaskClient, ada: User, grace: User, make_key: Make
) -> None:
    made = make_key(ada)
    clerk = make_user(app, username="clerk", email="clerk@example.com")
    permit(app, clerk, "keys:read", "keys:revoke")
    headers = bearer(log_in(client, clerk)["access_token"])
    path = f"{API}/users/{ada.id}/keys"

    seen = client.get(path, headers=headers).json["items"]
    of_superuser = client.delete(
        f"{API}/users/{grace.id}/keys/{make_key(grace)['id']}", headers=headers
    )
    ended = client.delete(f"{path}/{made['id']}", headers=headers)

    assert [one["id"] for one in seen] == [made["id"]]
    assert problem(of_superuser) == (403, "not_enough_permissions")
    assert ended.status_code == 204
    assert problem(me(client, made["key"])) == (401, "invalid_token")
    assert problem(client.delete(f"{path}/{made['id']}", headers=headers)) == (404, "not_found")
    [(_, subject, actor, _)] = events(app, "key_revoked")
    assert (subject, actor) == (ada.id, clerk.id)


def test_an_operator_lists_and_revokes_keys(
    app: Flask, client: FlaskClient, ada: User, make_key: Make
) -> None:
    made = make_key(ada)

    def run(*words: str) -> Any:
        return app.test_cli_runner().invoke(args=["users", "keys", *words])

    shown = run("list", "ada")
    as_json = run("list", "ada", "--json")
    ended = run("revoke", "ada", made["id"])
    again = run("revoke", "ada", made["id"])

    assert f"{made['prefix']}…{made['last4']}" in shown.output
    assert made["id"] in as_json.output
    assert ended.output == (
        f"The API key {made['prefix']}…{made['last4']} of ada@example.com is revoked.\n"
    )
    assert again.exit_code == 1
    assert problem(me(client, made["key"])) == (401, "invalid_token")


def test_the_doctor_counts_keys_with_another_prefix(
    app: Flask, ada: User, make_app: Callable[..., Flask], make_key: Make
) -> None:
    key = make_key(ada)["key"]
    other = make_app(KEY_PREFIX="acme")

    assert "api_keys_have_the_prefix" not in found(app)
    assert found(other)["api_keys_have_the_prefix"] == (
        "API keys that do not begin with acme_ do not work: 1."
    )
    assert problem(me(other.test_client(), key)) == (401, "invalid_token")
