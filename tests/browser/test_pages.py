"""The pages in Chromium, with scripts and without."""

import re

import pytest
from playwright.sync_api import Page, expect

from app.models import User
from tests.browser.conftest import Site
from tests.factories import PASSWORD

# What a browser shows does not depend on the database.
pytestmark = [pytest.mark.browser, pytest.mark.postgresql, pytest.mark.usefixtures("app")]


def log_in(page: Page) -> None:
    page.goto("/")
    page.get_by_label("Email address or username").fill("ada")
    page.get_by_label("Password", exact=True).fill(PASSWORD)
    page.get_by_role("button", name="Log in").click()


@pytest.fixture(params=["with scripts", "without"])
def any_page(request: pytest.FixtureRequest) -> Page:
    name = "page" if request.param == "with scripts" else "without_scripts"
    page: Page = request.getfixturevalue(name)
    return page


def test_from_the_login_to_the_profile_and_out(any_page: Page, site: Site, ada: User) -> None:
    log_in(any_page)
    expect(any_page.get_by_role("heading", name="Profile")).to_be_visible()

    any_page.get_by_label("Full name").fill("Ada Lovelace")
    any_page.get_by_role("button", name="Save").click()

    expect(any_page.get_by_role("status")).to_have_text("Your profile is saved.")
    expect(any_page.get_by_label("Full name")).to_have_value("Ada Lovelace")
    any_page.get_by_role("button", name="Log out").click()
    expect(any_page.get_by_role("status")).to_have_text("You are signed out.")
    any_page.goto("/account")
    expect(any_page).to_have_url(re.compile("/account/login$"))


def test_the_language_changes_and_what_was_typed_stays(any_page: Page, ada: User) -> None:
    any_page.goto("/account/login")
    any_page.get_by_label("Email address or username").fill("ada")

    any_page.get_by_role("button", name="中文").click()

    expect(any_page.get_by_role("heading")).to_have_text("登录")
    expect(any_page.get_by_label("邮箱地址或用户名")).to_have_value("ada")


def test_enter_sends_the_form_and_does_not_press_the_language(any_page: Page, ada: User) -> None:
    any_page.goto("/account/login")
    any_page.get_by_label("Email address or username").fill("ada")
    any_page.get_by_label("Password", exact=True).fill(PASSWORD)

    any_page.get_by_label("Password", exact=True).press("Enter")

    expect(any_page.get_by_role("heading", name="Profile")).to_be_visible()


def test_a_refusal_gets_the_focus_and_leads_to_its_field(any_page: Page, ada: User) -> None:
    log_in(any_page)
    any_page.goto("/account/password")
    any_page.get_by_label("Current password").fill("wrong")
    any_page.get_by_label("New password").fill("another long password")

    any_page.get_by_role("button", name="Change the password").click()

    expect(any_page.get_by_role("alert")).to_be_focused()
    any_page.get_by_role("alert").get_by_role("link", name="Current password").click()
    expect(any_page.get_by_label("Current password")).to_be_focused()


def test_a_password_can_be_shown(page: Page, ada: User) -> None:
    page.goto("/account/login")
    page.get_by_label("Password", exact=True).fill("see me")

    page.get_by_role("button", name="Show").click()

    expect(page.get_by_label("Password", exact=True)).to_have_attribute("type", "text")
    page.get_by_role("button", name="Hide").click()
    expect(page.get_by_label("Password", exact=True)).to_have_attribute("type", "password")


@pytest.mark.parametrize("width", [320, 1280])
def test_no_page_is_wider_than_the_window_and_nothing_is_refused_by_the_policy(
    page: Page, ada: User, width: int
) -> None:
    complaints: list[str] = []
    page.on("console", lambda message: complaints.append(message.text))
    page.set_viewport_size({"width": width, "height": 700})
    log_in(page)

    for path in ("/account", "/account/password", "/nothing"):
        page.goto(path)
        assert page.evaluate("document.documentElement.scrollWidth") <= width, path

    # Chromium itself notes that a page answered 404.
    assert [one for one in complaints if "404" not in one] == []
