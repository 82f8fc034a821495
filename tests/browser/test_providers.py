"""Sign-in with providers that nobody here wrote, in Chromium: a new person comes, and comes back.

``test_provider_stories.py`` has the rest of it. At ``oidc-provider`` PKCE is
obligatory, and its answers have ``iss``; ``pyop`` knows neither.
"""

from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from tests.browser.providers import agree_at_oidc_provider, agree_at_pyop, context, site
from tests.browser.test_every_page import LOOK, axe

__all__ = ["axe", "context", "site"]

# The machine may be busy.
expect.set_options(timeout=20_000)

# What a browser does does not depend on the database.
pytestmark = [pytest.mark.browser, pytest.mark.postgresql, pytest.mark.usefixtures("app")]

Agree = Callable[[Page, str], None]


@pytest.mark.parametrize(
    ("name", "agree"),
    [("node", agree_at_oidc_provider), ("python", agree_at_pyop)],
    ids=["oidc-provider", "pyop without scripts"],
)
def test_a_new_person_comes_and_comes_back(page: Page, name: str, agree: Agree) -> None:
    page.goto("/account/login")
    page.get_by_role("button", name=f"Continue with {name.title()}").click()
    agree(page, "eve")
    expect(page.get_by_role("heading", name="Create an account")).to_be_visible()
    expect(page.get_by_label("Username")).to_have_value("eve")
    expect(page.get_by_label("Email address")).to_have_value("eve@example.com")
    page.get_by_role("button", name="Create the account").click()
    expect(page.get_by_role("heading", name="Profile")).to_be_visible()
    page.get_by_role("button", name="Log out").click()
    expect(page.get_by_role("status")).to_have_text("You are signed out.")

    page.goto("/account/identities")
    page.get_by_role("button", name=f"Continue with {name.title()}").click()
    if name == "python":
        # It has no session of its own, and asks each time.
        agree(page, "eve")

    expect(page.get_by_role("heading", name="Connected accounts")).to_be_visible()
    expect(page.get_by_text("eve@example.com")).to_be_visible()


def test_axe_finds_nothing_on_the_pages_of_providers(page: Page, axe: str) -> None:
    """``test_every_page.py`` looks at all others."""
    page.add_init_script(axe)
    page.emulate_media(reduced_motion="reduce")
    page.set_viewport_size({"width": 390, "height": 800})
    found: list[str] = []

    def look() -> None:
        for scheme in ("light", "dark"):
            page.emulate_media(color_scheme=scheme)
            found.extend(f"{page.title()} {scheme}: {one}" for one in page.evaluate(LOOK))

    page.goto("/account/with/node/callback")
    expect(page.get_by_role("heading", name="You are not signed in")).to_be_visible()
    look()
    page.get_by_role("link", name="Back to the login").click()
    expect(page.get_by_role("heading", name="Log in")).to_be_visible()
    look()
    page.get_by_role("button", name="Continue with Node").click()
    agree_at_oidc_provider(page, "eve")
    expect(page.get_by_role("heading", name="Create an account")).to_be_visible()
    look()
    page.get_by_role("button", name="Create the account").click()
    expect(page.get_by_role("heading", name="Profile")).to_be_visible()
    page.goto("/account/identities")
    look()

    assert found == []
