"""The pages of ``examples/screenplays``: the editor saves by itself, and everybody can use them."""

import re
from collections.abc import Iterator
from typing import Any

import pytest
import requests
from playwright.sync_api import BrowserContext, Page, expect

from tests.browser.conftest import Site
from tests.browser.test_every_page import DESK, LOOK, NARROW, PHONE
from tests.browser.test_every_page import axe as axe  # a fixture
from tests.conftest import ENVIRONMENT
from tests.servers import ROOT, environment_for, free_port, run_flask_commands, serving

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]

PERSON = {"username": "ada", "password": "correct horse battery staple"}


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder, port = tmp_path_factory.mktemp("screenplays"), free_port()
    url = f"http://localhost:{port}"
    variables = ENVIRONMENT | {
        "FEATURES": "screenplays",
        "PYTHONPATH": str(ROOT / "examples" / "screenplays"),
        "DATABASE_URL": f"sqlite:///{folder / 'app.db'}",
        "PAGES": "true",
        "PUBLIC_URL": url,
        "WEB_CONCURRENCY": "1",
    }
    run_flask_commands("db upgrade", environment=environment_for(**variables))
    with serving(folder / "gunicorn.log", **variables, port=port) as server:
        made = requests.post(
            f"{server.api}/auth/register", json=PERSON | {"email": "ada@example.com"}, timeout=30
        )
        assert made.status_code == 201, made.text
        yield Site(server, url, folder / "mail")


@pytest.fixture
def editor(page: Page) -> Page:
    """Ada, who has begun a screenplay and is about to write."""
    log_in(page)
    page.goto("/screenplays/new")
    page.get_by_label("Title").fill("Big Fish")
    page.get_by_role("button", name="Save").click()
    page.wait_for_url(re.compile(r"/screenplays/\d+/edit$"))
    return page


def log_in(page: Page) -> None:
    page.goto("/account/login")
    page.locator("[name=username]").fill(PERSON["username"])
    page.locator("[name=password]").fill(PERSON["password"])
    page.locator("#form button.main").click()
    page.wait_for_url("**/account")


def text(page: Page) -> Any:
    return page.get_by_label("Text in Fountain")


def stored(page: Page) -> dict[str, Any]:
    """The screenplay that the page edits, as the API shows it."""
    number = page.url.split("/")[-2]
    found: dict[str, Any] = page.request.get(f"/api/v1/screenplays/{number}").json()
    return found


def test_it_saves_by_itself_and_the_scenes_follow(editor: Page) -> None:
    text(editor).fill("INT. RIVER - NIGHT")
    expect(editor.get_by_text("Everything is saved.")).to_be_visible()
    text(editor).fill("INT. RIVER - NIGHT\n\nA fish.")
    expect(editor.locator(".sheet .action")).to_have_text("A fish.")

    assert stored(editor)["text"] == "INT. RIVER - NIGHT\n\nA fish."
    expect(editor.locator(".scenes a")).to_have_text("INT. RIVER - NIGHT")
    editor.get_by_role("link", name="Versions").click()
    # The second one took the place of the first one.
    expect(editor.locator(".items h2")).to_have_text(["3. Big Fish", "1. Big Fish"])


def test_a_conflict_is_a_choice(editor: Page, context: BrowserContext) -> None:
    other = context.new_page()
    other.goto(editor.url)
    text(other).fill("The other one.")
    other.get_by_role("button", name="Save").click()
    expect(other.get_by_text("Everything is saved.")).to_be_visible()

    text(editor).fill("Mine.")

    expect(editor.get_by_text("Somebody else saved in the meantime")).to_be_visible()
    assert stored(editor)["text"] == "The other one."
    editor.get_by_role("button", name="Save mine over it").click()
    expect(editor.get_by_text("Everything is saved.")).to_be_visible()
    assert stored(editor)["text"] == "Mine."
    assert stored(editor)["version"] == 3


def test_a_login_that_is_over_loses_no_text(editor: Page, context: BrowserContext) -> None:
    cookies = context.cookies()
    context.clear_cookies()

    text(editor).fill("Mine.")
    editor.get_by_role("button", name="Save").click()

    expect(editor.get_by_role("link", name="Log in in another window")).to_be_visible()
    expect(text(editor)).to_have_value("Mine.")
    context.add_cookies(cookies)  # type: ignore[arg-type]
    editor.evaluate("dispatchEvent(new Event('focus'))")
    expect(editor.get_by_text("Everything is saved.")).to_be_visible()
    assert stored(editor)["text"] == "Mine."


def test_everybody_can_use_the_pages(editor: Page, axe: str) -> None:
    text(editor).fill("Title: Big Fish\n\nINT. RIVER - NIGHT\n\nEDWARD\nYes.\n\n> THE END <")
    expect(editor.locator(".sheet .character")).to_be_visible()
    one = editor.url.removesuffix("/edit")
    found, wide = [], []

    for path in ("/screenplays", "/screenplays/new", one, *(f"{one}/{last}" for last in LAST)):
        editor.goto(path)
        editor.evaluate(axe)
        editor.set_viewport_size({"width": NARROW, "height": 700})
        if editor.evaluate("document.documentElement.scrollWidth") > NARROW:
            wide.append(path)
        for width, scheme in ((DESK, "light"), (PHONE, "dark")):
            editor.set_viewport_size({"width": width, "height": 800})
            editor.emulate_media(color_scheme=scheme, reduced_motion="reduce")
            found += [f"{path} {width}: {rule}" for rule in editor.evaluate(LOOK)]

    assert (found, wide) == ([], [])


LAST = ("edit", "versions", "people")
