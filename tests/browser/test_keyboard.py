"""Whoever has a keyboard alone can do everything: to log in, to find a page, to mend a mistake."""

import pytest
from playwright.sync_api import Locator, Page, expect

from app.models import User
from tests.factories import PASSWORD

pytestmark = [pytest.mark.browser, pytest.mark.postgresql, pytest.mark.usefixtures("app")]

# No page has more places than this.
ENOUGH = 40


def tab_to(page: Page, place: Locator) -> None:
    for _ in range(ENOUGH):
        page.keyboard.press("Tab")
        if place.evaluate("(one) => one === document.activeElement"):
            return
    pytest.fail(f"Tab does not reach {place}.")


def test_a_keyboard_alone_logs_in_and_changes_the_password(page: Page, ada: User) -> None:
    page.set_viewport_size({"width": 390, "height": 844})
    keyboard = page.keyboard
    page.goto("/account/login")

    keyboard.press("Tab")
    skip = page.get_by_role("link", name="Skip to the content")
    expect(skip).to_be_focused()
    expect(skip).to_be_in_viewport()
    keyboard.press("Enter")
    keyboard.press("Tab")
    expect(page.get_by_label("Email address or username")).to_be_focused()
    keyboard.type("ada")
    tab_to(page, page.get_by_label("Password", exact=True))
    keyboard.type(PASSWORD)
    tab_to(page, page.get_by_role("button", name="Show"))
    keyboard.press("Space")
    expect(page.get_by_label("Password", exact=True)).to_have_attribute("type", "text")
    tab_to(page, page.get_by_label("Stay signed in"))
    keyboard.press("Space")
    keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Profile")).to_be_visible()

    tab_to(page, page.get_by_text("Menu", exact=True))
    keyboard.press("Enter")
    tab_to(page, page.get_by_role("link", name="Password"))
    keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Password")).to_be_visible()

    tab_to(page, page.get_by_label("Current password"))
    keyboard.type("wrong")
    tab_to(page, page.get_by_label("New password"))
    keyboard.type("another long and good password")
    keyboard.press("Enter")
    expect(page.get_by_role("alert")).to_be_focused()
    keyboard.press("Tab")
    keyboard.press("Enter")
    expect(page.get_by_label("Current password")).to_be_focused()
    keyboard.type(PASSWORD)
    tab_to(page, page.get_by_label("New password"))
    keyboard.type("another long and good password")
    keyboard.press("Enter")
    expect(page.get_by_role("status")).to_contain_text("Your password is changed.")
