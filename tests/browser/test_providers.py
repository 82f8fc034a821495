"""Sign-in with providers that nobody here wrote, in Chromium: a new person comes, and comes back.

``test_provider_stories.py`` has the rest of it. At ``oidc-provider`` PKCE is
obligatory, and its answers have ``iss``; ``pyop`` knows neither.
"""

from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from tests.browser.providers import agree_at_oidc_provider, agree_at_pyop, context, site

__all__ = ["context", "site"]

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
