"""What people do with accounts of providers that nobody here wrote, in Chromium."""

import re
from collections.abc import Callable

import pytest
from flask import Flask
from playwright.sync_api import Page, expect
from sqlalchemy import select

from app.extensions import db
from app.models import User
from tests.auth.mfa.phone import enrol
from tests.browser.providers import (
    agree_at_oidc_provider,
    agree_at_pyop,
    context,
    refuse_at_oidc_provider,
    refuse_at_pyop,
    site,
)
from tests.browser.test_pages import log_in
from tests.factories import PASSWORD
from tests.pages.test_second_step_page import make_stale

__all__ = ["context", "site"]

expect.set_options(timeout=20_000)

pytestmark = [pytest.mark.browser, pytest.mark.postgresql, pytest.mark.usefixtures("app")]

IDENTITIES = "/account/identities"


def go_to(page: Page, label: str, path: str = "/account/login") -> None:
    page.goto(path)
    page.get_by_role("button", name=f"Continue with {label}").click()


def come_as_new(page: Page, login: str, label: str = "Node") -> None:
    go_to(page, label)
    agree_at_oidc_provider(page, login)
    page.get_by_role("button", name="Create the account").click()
    expect_heading(page, "Profile")


def expect_heading(page: Page, name: str) -> None:
    expect(page.get_by_role("heading", name=name, exact=True)).to_be_visible()


def log_out(page: Page) -> None:
    page.get_by_role("button", name="Log out").click()
    expect_heading(page, "Log in")


def link(page: Page, label: str, agree: Callable[[Page, str], None], name: str) -> None:
    page.goto(IDENTITIES)
    page.get_by_role("button", name=f"Link {label}").click()
    agree(page, name)
    expect(page.get_by_role("status")).to_contain_text("The account is linked.")


def unlink(page: Page, label: str) -> None:
    page.goto(IDENTITIES)
    page.get_by_text("Unlink", exact=True).first.click()
    page.get_by_role("button", name=re.compile("Unlink the account")).click()


def test_an_account_is_linked_logs_in_and_is_unlinked(page: Page, ada: User) -> None:
    log_in(page)
    link(page, "Node", agree_at_oidc_provider, "countess")
    log_out(page)
    go_to(page, "Node")
    expect_heading(page, "Profile")
    expect(page.get_by_label("Username")).to_have_value("ada")

    unlink(page, "Node")

    expect(page.get_by_role("status")).to_contain_text("The account is unlinked.")
    log_out(page)
    go_to(page, "Node")
    expect_heading(page, "Create an account")


def test_two_providers_open_one_account(page: Page, ada: User) -> None:
    log_in(page)
    link(page, "Node", agree_at_oidc_provider, "countess")
    link(page, "Python", agree_at_pyop, "lovelace")
    log_out(page)

    go_to(page, "Python", "/account")
    agree_at_pyop(page, "lovelace")

    expect(page.get_by_label("Username")).to_have_value("ada")
    page.goto(IDENTITIES)
    expect(page.get_by_text("countess@example.com")).to_be_visible()
    expect(page.get_by_text("lovelace@example.com")).to_be_visible()


def test_an_identity_of_somebody_else_is_not_linked(page: Page, ada: User) -> None:
    come_as_new(page, "countess")
    log_out(page)
    log_in(page)
    page.goto(IDENTITIES)

    with page.expect_response(re.compile("/callback")) as answer:
        page.get_by_role("button", name="Link Node").click()

    assert answer.value.status == 409
    expect_heading(page, "This did not work")
    page.goto(IDENTITIES)
    expect(page.get_by_text("None is linked yet.")).to_be_visible()


def test_the_last_way_in_stays_until_there_is_another(page: Page) -> None:
    come_as_new(page, "eve")

    unlink(page, "Node")
    expect(page.get_by_role("alert")).to_be_visible()
    expect(page.get_by_text("eve@example.com")).to_be_visible()

    page.goto("/account/password")
    page.get_by_label("New password").fill("another long password")
    page.get_by_role("button", name=re.compile("password", re.IGNORECASE)).last.click()
    expect(page.get_by_role("status")).to_contain_text("Your password is set.")
    unlink(page, "Node")
    expect(page.get_by_role("status")).to_contain_text("The account is unlinked.")


def test_the_provider_proves_again_who_it_is(page: Page, app: Flask) -> None:
    come_as_new(page, "eve")
    make_stale_all(app)

    ask_to_prove_again(page)
    # It has a session, and asks again all the same.
    page.get_by_placeholder("Enter any login").fill("eve")
    page.get_by_placeholder("and password").fill("any")
    page.get_by_role("button", name="Sign-in").click()

    expect(page).to_have_url(re.compile("/account/export$"))
    expect(page.get_by_role("link", name="Confirm that it is you")).to_have_count(0)


def test_somebody_else_at_the_provider_proves_nothing(page: Page, app: Flask) -> None:
    come_as_new(page, "eve")
    make_stale_all(app)
    ask_to_prove_again(page)

    with page.expect_response(re.compile("/callback")) as answer:
        agree_at_oidc_provider(page, "mallory")

    assert answer.value.status == 403
    expect_heading(page, "This did not work")
    page.goto("/account/export")
    expect(page.get_by_role("link", name="Confirm that it is you")).to_be_visible()


def ask_to_prove_again(page: Page) -> None:
    page.goto("/account/export")
    page.get_by_role("link", name="Confirm that it is you").click()
    page.get_by_role("button", name="Continue with Node").click()


def make_stale_all(app: Flask) -> None:
    with app.app_context():
        [user] = db.session.scalars(select(User)).all()
        db.session.expunge(user)
    make_stale(app, user)


def test_the_second_step_comes_after_the_provider(page: Page, app: Flask, ada: User) -> None:
    log_in(page)
    link(page, "Node", agree_at_oidc_provider, "countess")
    log_out(page)
    phone = enrol(app.test_client(), ada)

    go_to(page, "Node")
    expect(page).to_have_url(re.compile("/account/second-step"))
    page.goto("/account")
    expect(page).to_have_url(re.compile("/account/login"))
    go_to(page, "Node")
    page.get_by_label("Code from your authenticator app").fill(phone.code())
    page.get_by_role("button", name="Log in").click()

    expect_heading(page, "Profile")


@pytest.mark.parametrize(
    ("label", "refuse"), [("Node", refuse_at_oidc_provider), ("Python", refuse_at_pyop)]
)
def test_somebody_who_refuses_there_is_not_signed_in_here(
    page: Page, label: str, refuse: Callable[[Page], None]
) -> None:
    go_to(page, label)

    with page.expect_response(re.compile("/callback")) as answer:
        refuse(page)

    assert answer.value.status == 403
    expect_heading(page, "You are not signed in")
    page.get_by_role("link", name="Back to the login").click()
    expect_heading(page, "Log in")


def test_a_provider_that_answers_with_a_form(page: Page) -> None:
    """Browsers send no cookies of ours with a form of another site."""
    come_as_new(page, "eve", "Form")
    log_out(page)

    go_to(page, "Form", "/account/devices")

    expect(page).to_have_url(re.compile("/account/devices$"))


def test_the_owner_of_an_address_logs_in_and_links(page: Page, ada: User) -> None:
    go_to(page, "Python")
    agree_at_pyop(page, "ada")
    expect_heading(page, "Link Python")

    page.get_by_role("link", name="Log in").click()
    page.get_by_label("Email address or username").fill("ada")
    page.get_by_label("Password", exact=True).fill(PASSWORD)
    page.get_by_role("button", name="Log in").click()
    page.get_by_role("button", name="Link Python").click()

    expect(page.get_by_role("status")).to_contain_text("The account is linked.")
    log_out(page)
    go_to(page, "Python")
    agree_at_pyop(page, "ada")
    expect(page.get_by_label("Username")).to_have_value("ada")


def test_two_tabs_each_finish_what_they_began(page: Page, ada: User) -> None:
    """The second tab does not take the attempt of the first one."""
    other = page.context.new_page()
    go_to(page, "Node")
    go_to(other, "Python")

    agree_at_pyop(other, "eve")
    expect_heading(other, "Create an account")
    agree_at_oidc_provider(page, "mallory")

    expect_heading(page, "Create an account")
    expect(page.get_by_label("Username")).to_have_value("mallory")
    other.reload()
    expect(other.get_by_label("Username")).to_have_value("eve")
