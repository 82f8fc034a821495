"""The account page and the page of the password."""

from flask import Flask
from flask.testing import FlaskClient

from app.models import User
from app.pages.forms import Form
from tests.cases import each
from tests.factories import API, PASSWORD, log_in
from tests.pages.person import Person

NEW = "another long password"


def test_a_profile_is_saved(ada_at_home: Person, client: FlaskClient, ada: User) -> None:
    page = ada_at_home.open("/account")

    answer = ada_at_home.send(page, full_name="Ada <b>Lovelace</b>", bio="Two\r\nlines")

    saved = ada_at_home.follow(answer)
    assert saved.notice == "Your profile is saved."
    fields = saved.form().fields
    assert (fields["full_name"], fields["bio"]) == ("Ada <b>Lovelace</b>", "Two\nlines")
    assert "<b>" not in saved.html


def test_an_empty_field_is_cleared(ada_at_home: Person, app: Flask) -> None:
    page = ada_at_home.open("/account")
    ada_at_home.send(page, full_name="Ada Lovelace")

    ada_at_home.send(page, full_name="")

    assert ada_at_home.open("/account").form().fields["full_name"] == ""


def test_what_is_wrong_stands_beside_its_field(ada_at_home: Person, bob: User) -> None:
    page = ada_at_home.open("/account")

    answer = ada_at_home.send(page, username="bob", full_name="Ada", avatar_url="javascript:x")
    taken = ada_at_home.send(page, username="bob", full_name="Ada")

    assert answer.status == 422
    assert answer.errors == {"avatar_url": "Is not an absolute http or https URL."}
    assert "Is not an absolute http or https URL." in answer.summary
    assert 'aria-describedby="avatar_url-error" aria-invalid="true"' in answer.html
    assert answer.form().fields["full_name"] == "Ada"
    assert taken.errors == {"username": "Username already taken"}
    assert ada_at_home.open("/account").form().fields["full_name"] == ""


def test_a_field_that_the_form_does_not_have_is_refused(ada_at_home: Person) -> None:
    page = ada_at_home.open("/account")
    data = page.form().fields | {"is_superuser": "true"}

    answer = ada_at_home.ask("POST", "/account", data=data)

    assert answer.status_code == 422
    assert "There is no such field." in answer.text


def test_a_changed_password_keeps_this_browser_and_signs_others_out(
    ada_at_home: Person, app: Flask, client: FlaskClient, ada: User
) -> None:
    elsewhere = Person(app)
    elsewhere.log_in(ada)
    page = ada_at_home.open("/account/password")

    answer = ada_at_home.send(page, current_password=PASSWORD, new_password=NEW)

    assert ada_at_home.follow(answer).notice.startswith("Your password is changed.")
    assert elsewhere.open("/account").path == "/account/login"
    assert log_in(client, ada, NEW)


def test_the_wrong_current_password_is_said_at_its_field(ada_at_home: Person) -> None:
    page = ada_at_home.open("/account/password")

    wrong = ada_at_home.send(page, current_password="no", new_password=NEW)
    short = ada_at_home.send(page, current_password=PASSWORD, new_password="short")

    assert (wrong.status, wrong.errors) == (422, {"current_password": "Incorrect password"})
    assert short.errors.keys() == {"new_password"}
    assert NEW not in wrong.html
    assert "short" not in short.html.replace("too short", "")


def test_the_api_sees_what_the_page_did(
    ada_at_home: Person, client: FlaskClient, ada: User
) -> None:
    ada_at_home.send(ada_at_home.open("/account"), full_name="Ada Lovelace")
    headers = {"Authorization": f"Bearer {log_in(client, ada)['access_token']}"}

    assert client.get(f"{API}/users/me", headers=headers).json["full_name"] == "Ada Lovelace"


@each("name", ["password", "current_password", "new_password", "otp", "recovery_code", "token"])
def test_a_secret_that_was_typed_is_never_a_value(name: str) -> None:
    assert Form({name: "secret"}).value(name) == ""
