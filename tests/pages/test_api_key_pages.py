"""API keys on pages."""

import re

from flask import Flask
from flask.testing import FlaskClient

from app.models import User
from tests.api_keys.calls import rows
from tests.factories import PASSWORD, me, permit
from tests.pages.person import Person, signed_in
from tests.pages.test_second_step_page import make_stale

PATH = "/account/keys"
KEY = re.compile(r"us_[0-9A-Za-z]{46}")


def make(person: Person, **typed: str) -> str:
    """Make a key with the form. Returns the key."""
    page = person.open(f"{PATH}/new")
    given = {"name": "Backup", "scope.profile": "true"} | typed
    answer = person.send(page, f"{PATH}/new", **given)
    assert answer.status == 200, answer.text
    [key] = set(KEY.findall(answer.html))
    return str(key)


def test_a_key_is_made_and_shown_once(
    app: Flask, client: FlaskClient, ada: User, ada_at_home: Person
) -> None:
    permit(app, ada, "users:read")

    key = make(ada_at_home, networks="127.0.0.0/8\r\n2001:db8::/32", expires_in_days="30")

    [row] = rows(app)
    assert me(client, key).json["username"] == "ada"
    assert (row.name, row.scopes) == ("Backup", "profile")
    assert row.networks == "127.0.0.0/8 2001:db8::/32"
    assert (row.expires_at - row.created_at).days == 30
    listed = ada_at_home.open(PATH)
    assert row.shown in listed.text
    assert KEY.search(listed.html + ada_at_home.open(f"{PATH}/{row.id}").html) is None


def test_the_page_offers_what_the_person_may_give(
    app: Flask, ada: User, ada_at_home: Person
) -> None:
    permit(app, ada, "users:read")

    boxes = [
        name for name in ada_at_home.open(f"{PATH}/new").form().names if name.startswith("scope.")
    ]

    assert boxes == ["scope.profile", "scope.users:read"]


def test_what_is_wrong_stands_beside_its_field(ada_at_home: Person) -> None:
    page = ada_at_home.open(f"{PATH}/new")

    refused = ada_at_home.send(page, name="x" * 101, networks="10.0.0.0/8 nowhere")
    another = {"name": "Backup", "scope.users:all": "true", "networks": ""}
    unknown = ada_at_home.ask("POST", f"{PATH}/new", data=page.form().fields | another)

    assert refused.status == 422
    assert refused.errors.keys() == {"name", "scopes", "networks"}
    assert refused.form().fields["networks"] == "10.0.0.0/8 nowhere"
    assert unknown.status_code == 422
    assert "There is no such scope." in unknown.text


def test_a_key_is_renamed_replaced_and_revoked(
    app: Flask, client: FlaskClient, ada_at_home: Person
) -> None:
    key = make(ada_at_home)
    [row] = rows(app)
    path = f"{PATH}/{row.id}"
    page = ada_at_home.open(path)

    renamed = ada_at_home.follow(ada_at_home.send(page, path, name="Nightly"))
    replaced = ada_at_home.send(page, f"{path}/rotate", overlap_seconds="0")
    [new] = set(KEY.findall(replaced.html))
    states = [me(client, one).status_code for one in (key, new)]
    revoked = ada_at_home.follow(ada_at_home.send(page, f"{path}/revoke"))

    assert renamed.notice == "The API key is changed."
    assert "Nightly" in renamed.text
    assert states == [401, 200]
    assert revoked.notice == "The API key is revoked."
    assert me(client, new).status_code == 401


def test_who_logged_in_long_ago_confirms_first(app: Flask, ada: User) -> None:
    person = signed_in(app, ada)
    make_stale(app, ada)

    assert person.open(f"{PATH}/new").path == "/account/reauthenticate"
    assert person.open(PATH).path == PATH


def test_the_key_of_somebody_else_is_not_there(app: Flask, bob: User, ada_at_home: Person) -> None:
    make(ada_at_home)
    [row] = rows(app)
    bob_at_home = signed_in(app, bob)
    token = bob_at_home.open(PATH).forms[0].fields["csrf_token"]

    answers = [
        bob_at_home.ask(method, f"{PATH}/{row.id}{action}", data={"csrf_token": token})
        for method, action in (("GET", ""), ("POST", ""), ("POST", "/rotate"), ("POST", "/revoke"))
    ]

    assert {answer.status_code for answer in answers} <= {404, 422}
    assert [one.id for one in rows(app)] == [row.id]


def test_a_new_password_ends_keys_unless_they_are_kept(
    client: FlaskClient, ada_at_home: Person
) -> None:

    key = make(ada_at_home)
    first, second = "another long and good password", "a third long and good password"
    states = []
    for old, new, box in ((PASSWORD, first, {"keep_keys": "true"}), (first, second, {})):
        page = ada_at_home.open("/account/password")
        ada_at_home.send(page, current_password=old, new_password=new, **box)
        states.append(me(client, key).status_code)

    assert states == [200, 401]
