"""The script of the pages of mailed links, and what becomes of the token."""

import pytest
from flask import Flask
from playwright.sync_api import Page, Request, expect

from app.models import User
from tests.auth.mfa.phone import enrol
from tests.browser.conftest import Site
from tests.factories import PASSWORD
from tests.pages.test_mailed_links import NEW, Links

pytestmark = [pytest.mark.browser, pytest.mark.usefixtures("app")]

# What a page keeps, and where the token could be seen.
SEEN = "[location.href, JSON.stringify(history.state), JSON.stringify(sessionStorage)]"


@pytest.fixture
def links(app: Flask) -> Links:
    return Links(app)


@pytest.fixture
def requests(page: Page) -> list[Request]:
    sent: list[Request] = []

    def note(request: Request) -> None:
        sent.append(request)

    page.on("request", note)
    return sent


def open_link(page: Page, name: str, token: str) -> None:
    # Elsewhere first: an address that differs in the fragment alone does not load a page.
    page.goto("about:blank")
    page.goto(f"/account/{name}#token={token}")


def test_a_link_says_what_a_click_does_and_survives_loading_the_page_again(
    page: Page, requests: list[Request], links: Links, ada: User
) -> None:
    token = links.make(ada, "reset-password")
    open_link(page, "reset-password", token)

    for _ in range(2):
        expect(page.get_by_role("definition").first).to_have_text("ada")
        expect(page.get_by_label("New password")).to_be_visible()
        page.reload()

    assert links.used() == [False]
    page.get_by_label("New password").fill("short")
    page.get_by_role("button", name="Show").click()
    page.get_by_role("button", name="Set the password").click()
    expect(page.get_by_role("alert")).to_contain_text("New password")
    page.get_by_label("New password").fill(NEW)
    page.get_by_role("button", name="Set the password").click()
    expect(page.get_by_role("status")).to_have_text("Your password is set. Log in with it.")
    assert token not in "".join(page.evaluate(SEEN))
    # The token was sent in bodies of our own origin, and nowhere else.
    assert [one for one in requests if token in (one.post_data or "")]
    for one in requests:
        assert token not in one.url.partition("#")[0]
        assert token not in "".join(one.all_headers().values())


def test_the_token_leaves_the_address_at_once_and_the_tab_keeps_it(
    page: Page, links: Links, bob: User
) -> None:
    token = links.make(bob, "verify-email")
    open_link(page, "verify-email", token)
    expect(page.get_by_role("button", name="Confirm the address")).to_be_visible()

    address, state, kept = page.evaluate(SEEN)

    assert address.endswith("/account/verify-email")
    assert (state, token in kept) == ("null", True)


def test_another_link_in_the_same_tab_replaces_the_first(
    page: Page, links: Links, ada: User, bob: User
) -> None:
    open_link(page, "verify-email", links.make(ada, "verify-email"))
    expect(page.get_by_role("definition").first).to_have_text("ada")

    # The browser does not load the page: only the fragment differs.
    page.evaluate(f"location.hash = 'token={links.make(bob, 'verify-email')}'")
    expect(page.get_by_role("definition").first).to_have_text("bob")
    page.reload()
    expect(page.get_by_role("definition").first).to_have_text("bob")


def test_a_browser_that_stores_nothing_shows_the_link_again_too(
    page: Page, links: Links, ada: User
) -> None:
    page.add_init_script(
        "Object.defineProperty(window, 'sessionStorage', { get() { throw new Error('blocked'); } })"
    )
    token = links.make(ada, "verify-email")
    open_link(page, "verify-email", token)

    for _ in range(2):
        expect(page.get_by_role("definition").first).to_have_text("ada")
        assert token not in page.url
        page.reload()


def test_a_link_that_was_used_offers_a_new_one(page: Page, links: Links, bob: User) -> None:
    token = links.make(bob, "verify-email")
    open_link(page, "verify-email", token)
    page.get_by_role("button", name="Confirm the address").click()
    expect(page.get_by_role("status")).to_have_text("Your email address is confirmed.")

    open_link(page, "verify-email", token)

    expect(page.get_by_role("alert")).to_contain_text("This link does not work any more.")
    page.get_by_role("link", name="Mail me a new link").click()
    expect(page.get_by_role("heading", name="A new link")).to_be_visible()


def test_the_language_is_switched_on_the_page_of_a_link(
    page: Page, links: Links, ada: User
) -> None:
    open_link(page, "not-me", links.make(ada, "not-me"))
    expect(page.get_by_role("definition").first).to_have_text("ada")

    page.get_by_role("button", name="中文").click()

    expect(page.get_by_role("button", name="退出所有设备")).to_be_visible()
    expect(page.get_by_role("definition").first).to_have_text("ada")


def test_without_scripts_the_link_is_pasted(without_scripts: Page, site: Site, app: Flask) -> None:
    page = without_scripts
    page.goto("/account/register")
    page.get_by_label("Email address").fill("eve@example.com")
    page.get_by_label("Username").fill("eve")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Create the account").click()
    expect(page.get_by_role("status")).to_contain_text("Your account is made.")

    link = site.mailed_link("eve@example.com", "verify-email")
    page.goto(link)
    page.get_by_label("Link from the mail").fill(link)
    page.get_by_role("button", name="Continue").click()
    expect(page.get_by_role("definition").first).to_have_text("eve")
    page.get_by_role("button", name="Confirm the address").click()

    expect(page.get_by_role("status")).to_have_text("Your email address is confirmed.")


def test_a_second_step_is_made_with_the_keyboard_alone(page: Page, app: Flask, ada: User) -> None:

    phone = enrol(app.test_client(), ada)
    page.goto("/account/password")
    page.get_by_label("Email address or username").fill("ada")
    page.get_by_label("Password").fill(PASSWORD)
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Second step")).to_be_visible()
    page.get_by_role("textbox").fill(phone.code())
    page.keyboard.press("Enter")

    expect(page.get_by_role("heading", name="Password")).to_be_visible()
