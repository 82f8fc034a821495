"""One account from its registration to its deletion and back, with scripts and without."""

import json
import re
from pathlib import Path
from uuid import uuid4

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.conftest import Site

# What a browser shows does not depend on the database.
pytestmark = [pytest.mark.browser, pytest.mark.postgresql, pytest.mark.usefixtures("app")]

FIRST, SECOND = "violets grow behind the shed", "the shed was painted in May"


@pytest.fixture(params=["with scripts", "without"])
def any_page(request: pytest.FixtureRequest) -> Page:
    name = "page" if request.param == "with scripts" else "without_scripts"
    page: Page = request.getfixturevalue(name)
    return page


def press(page: Page, button: str) -> None:
    page.get_by_role("button", name=button, exact=True).click()


def says(page: Page, notice: str) -> None:
    expect(page.get_by_role("status")).to_contain_text(notice)


def use_link(page: Page, link: str, button: str) -> None:
    """Open a mailed link, and paste it where no script can read it from the address."""
    page.goto(link)
    wanted = page.get_by_role("button", name=button)
    pasted = page.get_by_label("Link from the mail")
    expect(wanted.or_(pasted)).to_be_visible()
    if pasted.is_visible():
        pasted.fill(link)
        press(page, "Continue")
    wanted.click()


def log_in(page: Page, password: str) -> None:
    page.goto("/account/login")
    page.get_by_label("Email address or username").fill("ada")
    page.get_by_label("Password", exact=True).fill(password)
    press(page, "Log in")


def open_page(page: Page, name: str) -> None:
    """Choose a page from the menu, as on a wide window."""
    page.get_by_role("navigation").get_by_role("link", name=name, exact=True).click()
    expect(page.get_by_role("heading", level=1)).to_have_text(name)


def test_an_account_from_its_registration_to_its_deletion_and_back(
    any_page: Page, site: Site, playwright_browser: Browser
) -> None:
    page = any_page
    # The other one of these tests has left mails to its addresses.
    old, new = f"{uuid4()}@example.com", f"{uuid4()}@example.com"

    page.goto("/account/register")
    page.get_by_label("Email address").fill(old)
    page.get_by_label("Username").fill("ada")
    page.get_by_label("Password", exact=True).fill(FIRST)
    press(page, "Create the account")
    use_link(page, site.mailed_link(old, "verify-email"), "Confirm the address")
    log_in(page, FIRST)
    expect(page.get_by_text(f"{old} confirmed")).to_be_visible()

    page.get_by_label("Full name").fill("Ada Lovelace")
    press(page, "Save")
    says(page, "Your profile is saved.")

    open_page(page, "Password")
    page.get_by_label("Current password").fill(FIRST)
    page.get_by_label("New password").fill(SECOND)
    press(page, "Change the password")
    says(page, "Your password is changed.")

    open_page(page, "Email address")
    page.get_by_label("New email address").fill(new)
    press(page, "Send the link")
    expect(page.get_by_text(f"We sent a link to {new}.")).to_be_visible()
    use_link(page, site.mailed_link(new, "confirm-email"), "Use this address")

    elsewhere = playwright_browser.new_context(base_url=site.url, user_agent="curl/8.14.1")
    log_in(elsewhere.new_page(), SECOND)
    page.goto("/account/devices")
    curl = page.get_by_role("listitem").filter(has=page.get_by_role("heading", name="curl"))
    curl.get_by_role("button", name="Sign out").click()
    says(page, "The device is signed out.")
    expect(curl).to_have_count(0)
    [there] = elsewhere.pages
    there.reload()
    expect(there).to_have_url(re.compile("/account/login"))
    elsewhere.close()
    expect(page.get_by_text("this device")).to_be_visible()

    open_page(page, "Activity")
    for happened in ("signed out a device", "logged in on a new device", f"changed to {new}"):
        expect(page.get_by_text(happened)).to_be_visible()

    open_page(page, "Your data")
    with page.expect_download() as download:
        press(page, "Download")
    data = json.loads(Path(download.value.path()).read_text(encoding="utf-8"))
    assert (data["user"]["email"], data["user"]["full_name"]) == (new, "Ada Lovelace")
    expect(page.get_by_role("button", name="Download")).to_be_enabled()

    open_page(page, "Delete account")
    page.get_by_label("Password", exact=True).fill(SECOND)
    press(page, "Delete my account")
    says(page, "You are signed out, and your account will be deleted in 14 days.")
    page.goto("/account")
    expect(page).to_have_url(re.compile("/account/login"))

    log_in(page, SECOND)
    says(page, "Welcome back. Your account will not be deleted.")
