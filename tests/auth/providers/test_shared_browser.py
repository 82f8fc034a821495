"""A browser that several people use: what one of them began, the next one cannot finish."""

from collections.abc import Callable

import pytest
from flask import Flask

from app.models import User
from tests.auth.mfa.phone import enrol_with
from tests.auth.providers.acme import (
    Acme,
    come_back,
    goal_of,
    link_directly,
    offered,
    place_of,
    press,
    sign_in,
)
from tests.cookies import browser, hold, secret_of
from tests.cookies import sign_in as sign_in_with_cookie
from tests.factories import API, PASSWORD, log_in
from tests.pages.person import Page, Person, signed_in

NEW_ACCOUNT = "/account/with/acme/new-account"
CONFIRM = "/account/with/acme/confirm"
NEW = "ada@acme.example"


def status_of(person: Person, path: str) -> int:
    return person.ask("GET", path).status_code


def by_page(person: Person) -> None:
    person.send(person.open("/account"), "/account/logout")


def by_devices(person: Person) -> None:
    person.send(person.open("/account/devices"), "/account/devices/everywhere")


def by_call(person: Person) -> None:
    assert person.client.post(f"{API}/auth/logout").status_code == 204


def by_call_of_a_session_that_is_over(person: Person) -> None:
    twin = browser(person.client.application)
    hold(twin, secret_of(person.client))
    assert twin.post(f"{API}/auth/logout").status_code == 204
    assert person.client.post(f"{API}/auth/logout").status_code == 401


def by_ending_this_session(person: Person) -> None:
    current = person.client.get(f"{API}/auth/sessions/current").json["id"]
    assert person.client.delete(f"{API}/auth/sessions/{current}").status_code == 204


def by_closing_the_account(person: Person) -> None:
    closed = person.client.delete(f"{API}/users/me", json={"password": PASSWORD})
    assert closed.status_code == 202


@pytest.mark.parametrize(
    "leave",
    [
        by_page,
        by_devices,
        by_call,
        by_call_of_a_session_that_is_over,
        by_ending_this_session,
        by_closing_the_account,
    ],
)
def test_a_logout_ends_what_is_under_way_at_that_browser(
    app: Flask, acme: Acme, bob: User, leave: Callable[[Person], None]
) -> None:
    person = signed_in(app, bob)
    page = person.open("/account/identities")
    here, there = (goal_of(press(person, page, acme, purpose="login")) for _ in range(2))
    come_back(person, acme, acme.agree(here, "1", email=NEW))
    assert status_of(person, NEW_ACCOUNT) == 200
    person.client.set_cookie("__Host-ticket", "of a second step")

    leave(person)

    assert status_of(person, NEW_ACCOUNT) == 400
    assert come_back(person, acme, acme.agree(there, "1", email=NEW)).status_code == 400
    assert not secret_of(person.client, "__Host-ticket")


@pytest.mark.parametrize("way", ["page", "call"])
def test_a_login_of_somebody_else_ends_what_waits_for_an_owner(
    app: Flask, acme: Acme, visitor: Person, ada: User, bob: User, way: str
) -> None:
    sign_in(visitor, acme, "1", email=NEW)
    sign_in(visitor, acme, "2", email=ada.email)
    assert (status_of(visitor, NEW_ACCOUNT), status_of(visitor, CONFIRM)) == (400, 200)

    if way == "page":
        visitor.log_in(bob)
    else:
        sign_in_with_cookie(visitor.client, bob)

    assert (status_of(visitor, NEW_ACCOUNT), status_of(visitor, CONFIRM)) == (400, 400)


def test_a_login_ends_a_new_account_that_waits(acme: Acme, visitor: Person, bob: User) -> None:
    page = visitor.follow(Page(sign_in(visitor, acme, "1", email=NEW)))

    visitor.log_in(bob)

    assert visitor.send(page, username="ada").status == 400


@pytest.mark.parametrize("has_factor", [False, True])
def test_the_owner_may_log_in_with_another_provider_and_then_link(
    app: Flask, visitor: Person, ada: User, has_factor: bool
) -> None:
    other = Acme("other", "https://id.other.example")
    with offered(app, other) as acme:
        client = app.test_client()
        phone = enrol_with(client, log_in(client, ada)["access_token"]) if has_factor else None
        link_directly(app, ada)
        sign_in(visitor, other, "1", email=ada.email)
        confirm = "/account/with/other/confirm"

        back = Page(sign_in(visitor, acme, "1", next_path=confirm))
        if phone:
            back = visitor.send(visitor.follow(back), otp=phone.code())

        assert place_of(back.answer) == confirm
        assert place_of(visitor.send(visitor.follow(back)).answer) == "/account"
        assert place_of(sign_in(Person(app), other, "1")).startswith(
            "/account/second-step" if phone else "/account"
        )


def test_a_look_ahead_uses_nothing_up(app: Flask, acme: Acme, visitor: Person, ada: User) -> None:
    link_directly(app, ada)
    brought = acme.agree(goal_of(press(visitor, visitor.open("/account/login"), acme)), "1")

    looked = come_back(visitor, acme, brought, method="HEAD")

    assert (looked.status_code, looked.headers["Allow"]) == (405, "GET, POST")
    assert place_of(come_back(visitor, acme, brought)) == "/account"
