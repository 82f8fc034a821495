"""Forms whose hidden token is too old: what was typed comes back, and nothing is done."""

from flask import Flask

from app.access.csrf import FORM
from app.models import User
from tests.factories import PASSWORD
from tests.pages.person import SITE, Page, Person, signed_in

KEPT = "The form is too old. Nothing was changed, and what you typed is kept."
TYPED = {"email": "new@example.org", "username": "new", "full_name": '"><b>New'}


def test_a_form_comes_back_without_its_password(visitor: Person) -> None:
    page = visitor.open("/account/register")
    visitor.client.delete_cookie(FORM)
    old = visitor.send(page, **TYPED, password=PASSWORD)

    reopened = visitor.send(old, "/account/register", press="Back to the form")
    registered = visitor.send(reopened, password=PASSWORD)

    assert (old.status, KEPT in old.text) == (403, True)
    assert PASSWORD not in old.html
    assert "<b>" not in old.html
    assert (reopened.status, reopened.errors) == (200, {})
    assert reopened.form().fields.items() >= {**TYPED, "password": ""}.items()
    # The way back has registered nobody, or the address would be taken.
    assert registered.status == 303


def test_a_form_outlives_a_login_in_another_tab(ada_at_home: Person, ada: User) -> None:
    page = ada_at_home.open("/account")
    ada_at_home.send(ada_at_home.open("/account/devices"), "/account/logout")
    ada_at_home.log_in(ada)

    old = ada_at_home.send(page, bio="Two words", locale="zh")
    reopened = ada_at_home.send(old, "/account", press="Back to the form")
    before = ada_at_home.open("/account").form().fields["bio"]
    saved = ada_at_home.follow(ada_at_home.send(reopened))

    assert before == ""
    assert (reopened.status, reopened.form().fields["bio"]) == (200, "Two words")
    assert saved.form().fields["bio"] == "Two words"
    assert saved.form().fields["locale"] == "zh"


def test_the_way_back_passes_the_guards_of_the_form(app: Flask, ada: User) -> None:
    person = signed_in(app, ada)
    page = person.open("/account")
    for name in [cookie.key for cookie in person.client._cookies.values()]:
        person.client.delete_cookie(name)

    old = person.send(page, bio="x")
    reopened = person.send(old, "/account", press="Back to the form")

    assert old.status == 403
    assert reopened.status == 303
    assert reopened.answer.headers["Location"] == "/account/login"


def test_a_button_has_nothing_that_could_come_back(ada_at_home: Person) -> None:
    page = ada_at_home.open("/account/security")
    data = page.forms[0].fields | {"csrf_token": "old", "reopen": "true", "x": "1"}

    old = Page(ada_at_home.ask("POST", "/account/logout", data=data))

    assert old.status == 403
    assert KEPT not in old.text
    assert ada_at_home.open("/account").status == 200


def test_nothing_comes_back_that_another_site_sent(visitor: Person) -> None:
    page = visitor.open("/account/register")

    answer = visitor.ask(
        "POST",
        "/account/register",
        data=page.form().fields | {"email": "new@example.org"},
        Origin="https://evil.example",
        **{"Sec-Fetch-Site": "cross-site"},
    )

    assert answer.status_code == 403
    assert "new@example.org" not in answer.text
    assert SITE not in answer.text


def test_a_form_that_no_page_shows_again_leads_to_its_page(visitor: Person) -> None:
    page = visitor.open("/account/nothing")
    visitor.client.delete_cookie(FORM)

    old = visitor.send(page, "/account/language", press="中文")

    assert old.status == 403
    assert KEPT not in old.text
    assert "reopen" not in old.html
