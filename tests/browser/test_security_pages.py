"""Second factors and passkeys on the pages, with the virtual authenticators of Chromium."""

import re
import time
from pathlib import Path
from typing import Any

import pyotp
import pytest
from playwright.sync_api import Page, Route, expect

from tests.browser.test_pages import log_in
from tests.waiting import until

# The machine may be busy.
expect.set_options(timeout=20_000)

pytestmark = [pytest.mark.browser, pytest.mark.postgresql, pytest.mark.usefixtures("app", "ada")]

SECURITY = "/account/security"
BUTTON = "Use a passkey"
NO_SUGGESTIONS = "PublicKeyCredential.isConditionalMediationAvailable = async () => false"
# A browser of 2023 has passkeys, and no functions for their JSON.
OLD_BROWSER = """
delete PublicKeyCredential.parseCreationOptionsFromJSON
delete PublicKeyCredential.parseRequestOptionsFromJSON
delete PublicKeyCredential.prototype.toJSON
"""


class Key:
    """An authenticator of the browser, whose owner agrees at once."""

    def __init__(self, page: Page) -> None:
        self.devtools = page.context.new_cdp_session(page)
        self.devtools.send("WebAuthn.enable", {"enableUI": False})
        options = {
            "protocol": "ctap2",
            "transport": "internal",
            "hasResidentKey": True,
            "hasUserVerification": True,
            "isUserVerified": True,
            "automaticPresenceSimulation": True,
        }
        made = self.devtools.send("WebAuthn.addVirtualAuthenticator", {"options": options})
        self.id = made["authenticatorId"]

    def set(self, what: str, **value: bool) -> None:
        self.devtools.send(f"WebAuthn.set{what}", {"authenticatorId": self.id, **value})


def add_passkey(page: Page) -> None:
    page.goto(f"{SECURITY}/passkeys/new")
    page.get_by_role("button", name="Create the passkey").click()
    expect(page.get_by_role("heading", name="Your recovery codes")).to_be_visible()


def log_out(page: Page) -> None:
    page.get_by_role("button", name="Log out").click()
    expect(page.get_by_role("heading", name="Log in")).to_be_visible()


@pytest.mark.parametrize("browser", ["new", "old"])
def test_a_passkey_is_added_and_logs_in_by_the_button(page: Page, browser: str) -> None:
    page.add_init_script(NO_SUGGESTIONS)
    if browser == "old":
        page.add_init_script(OLD_BROWSER)
    Key(page)
    log_in(page)
    add_passkey(page)
    page.goto(f"{SECURITY}/passkeys/new")
    page.get_by_role("button", name="Create the passkey").click()
    expect(page.get_by_role("alert")).to_have_text(
        "This device has a passkey for your account already."
    )
    log_out(page)
    page.goto("/account/login?next=/account/password")
    page.get_by_label("Stay signed in").check()

    page.get_by_role("button", name=BUTTON).click()

    expect(page.get_by_role("heading", name="Password")).to_be_visible()
    [cookie] = [one for one in page.context.cookies() if one["name"] == "__Host-session"]
    assert cookie["expires"] > 0


def test_a_passkey_is_suggested_on_the_page_to_log_in(page: Page) -> None:
    """The virtual authenticator chooses the suggestion by itself."""
    Key(page)
    log_in(page)
    add_passkey(page)
    page.goto(SECURITY)

    page.get_by_role("button", name="Log out").click()

    expect(page.get_by_role("heading", name="Profile")).to_be_visible()


def test_the_button_takes_the_place_of_the_suggestions(page: Page) -> None:
    key = Key(page)
    log_in(page)
    add_passkey(page)
    page.goto(SECURITY)
    key.set("AutomaticPresenceSimulation", enabled=False)
    log_out(page)
    page.evaluate("window.isSamePage = true")
    key.set("UserVerified", isUserVerified=False)
    key.set("AutomaticPresenceSimulation", enabled=True)

    page.get_by_role("button", name=BUTTON).click()

    # The browser refuses, because the owner does not prove who it is. The page stays.
    expect(page.get_by_role("alert")).to_contain_text("No passkey was used.")
    assert page.evaluate("window.isSamePage")
    key.set("AutomaticPresenceSimulation", enabled=False)
    key.set("UserVerified", isUserVerified=True)
    # The owner touches the key when the browser asks: after the press, and before the ceremony.
    page.route("**/passkeys/login-options", lambda route: touch(key, route))
    page.get_by_role("button", name=BUTTON).click()
    expect(page.get_by_role("heading", name="Profile")).to_be_visible()


def touch(key: Key, route: Route) -> None:
    key.set("AutomaticPresenceSimulation", enabled=True)
    route.continue_()


def test_browsers_without_passkeys_see_no_button(page: Page, without_scripts: Page) -> None:
    page.add_init_script("delete window.PublicKeyCredential")
    for each in (page, without_scripts):
        each.goto("/account/login")
        expect(each.get_by_role("button", name="Log in")).to_be_visible()
        expect(each.get_by_role("button", name=BUTTON)).to_be_hidden()

        log_in(each)
        each.goto(f"{SECURITY}/passkeys/new")
        expect(each.get_by_role("button", name="Create the passkey")).to_be_hidden()
        expect(each.get_by_text("Passkeys need JavaScript")).to_be_visible()


def test_a_removed_passkey_is_not_offered_any_more(page: Page) -> None:
    Key(page)
    log_in(page)
    add_passkey(page)
    page.add_init_script(
        "PublicKeyCredential.signalAllAcceptedCredentials = async (told) => { window.told = told }"
    )
    page.goto(SECURITY)
    before: Any = page.evaluate("window.told")
    page.get_by_role("link", name="Change").click()
    page.locator("summary", has_text="Remove").click()

    page.get_by_role("button", name="Remove the passkey").click()

    expect(page.get_by_role("status")).to_have_text("Your passkey is removed.")
    after: Any = page.evaluate("window.told")
    assert before["userId"] == after["userId"]
    assert [len(told["allAcceptedCredentialIds"]) for told in (before, after)] == [1, 0]


@pytest.fixture(params=["with scripts", "without"])
def any_page(request: pytest.FixtureRequest) -> Page:
    name = "page" if request.param == "with scripts" else "without_scripts"
    page: Page = request.getfixturevalue(name)
    return page


def set_up_app(page: Page) -> pyotp.TOTP:
    """Set an authenticator app up. Its first code is of the step before, so the next one works."""
    page.goto(SECURITY)
    page.get_by_role("link", name="Set up an authenticator app").click()
    page.get_by_role("button", name="Show the QR code").click()
    expect(page.get_by_role("img", name="QR code")).to_be_visible()
    # Not at the end of a time step, because this code is good only until then.
    until(lambda: time.time() % 30 < 20)
    app = pyotp.TOTP(page.locator(".secret").inner_text().replace(" ", ""))
    page.get_by_label("Type the code that the app shows").fill(app.at(int(time.time()) - 30))
    page.get_by_role("button", name="Confirm the code").click()
    expect(page.get_by_role("heading", name="Your recovery codes")).to_be_visible()
    return app


def test_an_authenticator_app_is_set_up_and_its_recovery_codes_are_kept(any_page: Page) -> None:
    log_in(any_page)
    set_up_app(any_page)
    codes = re.findall(r"(?:[0-9a-z]{4}-){3}[0-9a-z]{4}", any_page.content())

    with any_page.expect_download() as download:
        any_page.get_by_role("link", name="Download").click()

    assert download.value.suggested_filename == "recovery-codes.txt"
    file = Path(download.value.path()).read_text(encoding="utf-8").splitlines()
    assert file[0] == "Recovery codes of ada at User System"
    assert file[2:] == sorted(set(codes), key=codes.index)
    any_page.get_by_role("link", name="I have kept my codes").click()
    expect(any_page.get_by_text("10 left")).to_be_visible()


def test_recovery_codes_are_copied_and_printed(page: Page) -> None:
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.add_init_script("window.print = () => { window.isPrinted = true }")
    log_in(page)
    set_up_app(page)

    page.get_by_role("button", name="Copy").click()
    page.get_by_role("button", name="Print").click()

    expect(page.get_by_role("button", name="Copied")).to_be_visible()
    copied = page.evaluate("navigator.clipboard.readText()").split()
    assert copied == page.locator("#codes code").all_inner_texts()
    assert len(copied) == 10
    assert page.evaluate("window.isPrinted")


def second_step(page: Page) -> None:
    """Log in up to the second step."""
    page.goto(SECURITY)
    log_out(page)
    log_in(page)
    expect(page.get_by_role("heading", name="Second step")).to_be_visible()


def test_a_passkey_is_the_second_step_and_proves_again_who_it_is(page: Page) -> None:
    page.add_init_script(NO_SUGGESTIONS)
    Key(page)
    log_in(page)
    add_passkey(page)
    page.goto(SECURITY)
    page.get_by_role("button", name="Turn it on").click()
    second_step(page)
    page.get_by_label("Do not ask for a code on this device again").check()

    page.get_by_role("button", name=BUTTON).click()

    expect(page.get_by_role("heading", name="Profile")).to_be_visible()
    page.goto(f"/account/reauthenticate?next={SECURITY}")
    page.get_by_role("button", name=BUTTON).click()
    expect(page.get_by_role("heading", name="Remembered devices")).to_be_visible()
    expect(page.get_by_role("button", name="Forget: Chrome on Linux")).to_be_visible()


def test_a_code_of_the_app_or_a_recovery_code_finishes_the_login(any_page: Page) -> None:
    log_in(any_page)
    app = set_up_app(any_page)
    code = any_page.locator("#codes code").first.inner_text()
    second_step(any_page)
    any_page.get_by_label("Code from your authenticator app").fill(app.now())
    any_page.get_by_role("button", name="Log in").click()
    expect(any_page.get_by_role("heading", name="Profile")).to_be_visible()

    second_step(any_page)
    any_page.get_by_role("link", name="Use a recovery code").click()
    any_page.get_by_label("Recovery code").fill(code)
    any_page.get_by_role("button", name="Log in").click()

    expect(any_page.get_by_role("heading", name="Profile")).to_be_visible()
    any_page.goto(SECURITY)
    expect(any_page.get_by_text("9 left")).to_be_visible()
