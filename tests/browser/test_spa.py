"""``examples/spa`` in Chromium: a page on another origin that keeps people signed in."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
import requests
from flask import Flask
from playwright.sync_api import Browser, BrowserContext, Page, Route, expect

from tests.conftest import ENVIRONMENT
from tests.factories import PASSWORD
from tests.servers import ROOT, Server, serving

# What a browser does does not depend on the database.
pytestmark = [pytest.mark.browser, pytest.mark.postgresql, pytest.mark.usefixtures("app", "ada")]

EXAMPLE = ROOT / "examples" / "spa"
ADDRESS_IN_EXAMPLE = "http://localhost:8000"


@dataclass
class Application:
    url: str
    server: Server


class Files(SimpleHTTPRequestHandler):
    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture(scope="module")
def application(
    session_app: Flask, database_url: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Application]:
    """The page at ``localhost``, and the API at ``127.0.0.1``, which is another site."""
    folder, log = tmp_path_factory.mktemp("page"), tmp_path_factory.mktemp("api") / "gunicorn.log"
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Files, directory=folder)) as files:
        url = f"http://localhost:{files.server_port}"
        variables = ENVIRONMENT | {"CORS_ORIGINS": url, "WEB_CONCURRENCY": "1"}
        with serving(log, **variables, DATABASE_URL=database_url) as server:
            copy_example(folder, server)
            Thread(target=files.serve_forever).start()
            yield Application(url, server)
            files.shutdown()


def copy_example(folder: Path, server: Server) -> None:
    for file in EXAMPLE.iterdir():
        text = file.read_text("utf-8").replace(ADDRESS_IN_EXAMPLE, server.url)
        (folder / file.name).write_text(text, "utf-8")


@pytest.fixture
def context(playwright_browser: Browser, application: Application) -> Iterator[BrowserContext]:
    context = playwright_browser.new_context(base_url=application.url)
    yield context
    context.close()


@pytest.fixture
def tab(context: BrowserContext) -> Page:
    """A tab in which Ada is signed in."""
    tab = context.new_page()
    tab.goto("/")
    tab.get_by_label("Email address or username").fill("ada")
    tab.get_by_label("Password").fill(PASSWORD)
    tab.get_by_role("button", name="Log in").click()
    expect(greeting(tab)).to_be_visible()
    return tab


@pytest.fixture
def other_tab(tab: Page, context: BrowserContext) -> Page:
    other = context.new_page()
    other.goto("/")
    expect(greeting(other)).to_be_visible()
    return other


def greeting(tab: Page) -> Any:
    return tab.get_by_role("heading", name="Hello, ada")


def ask_again(tab: Page) -> None:
    tab.evaluate("document.getElementById('name').textContent = ''")
    tab.evaluate("document.getElementById('again').click()")


def stored(tab: Page) -> dict[str, Any]:
    session: dict[str, Any] = json.loads(tab.evaluate("localStorage.session"))
    return session


def change(tab: Page, **members: Any) -> None:
    tab.evaluate("text => { localStorage.session = text }", json.dumps(stored(tab) | members))


def calls(tab: Page) -> list[tuple[str, int]]:
    """The calls that the tab makes from now on, with their status."""
    made: list[tuple[str, int]] = []

    def note(response: Any) -> None:
        if response.request.method != "OPTIONS":
            made.append((response.url.rpartition("/api/v1")[2], response.status))

    tab.on("response", note)
    return made


def test_a_token_that_is_still_good_is_not_refreshed(tab: Page) -> None:
    made = calls(tab)

    ask_again(tab)

    expect(greeting(tab)).to_be_visible()
    assert made == [("/users/me", 200)]


def test_a_token_is_refreshed_before_it_expires(tab: Page) -> None:
    change(tab, expires_at=tab.evaluate("Date.now() + 20_000"))
    made = calls(tab)

    ask_again(tab)

    expect(greeting(tab)).to_be_visible()
    assert made == [("/auth/refresh", 200), ("/users/me", 200)]


def test_a_refused_token_is_refreshed_and_the_call_repeated_once(tab: Page) -> None:
    change(tab, access_token="refused")
    made = calls(tab)

    ask_again(tab)

    expect(greeting(tab)).to_be_visible()
    assert made == [("/users/me", 401), ("/auth/refresh", 200), ("/users/me", 200)]


def test_of_two_tabs_one_refreshes_while_the_other_waits_and_both_stay_signed_in(
    tab: Page, other_tab: Page, context: BrowserContext
) -> None:
    sent: list[Route] = []

    def hold_first(route: Route) -> None:
        sent.append(route)
        if len(sent) > 1:
            route.continue_()

    context.route("**/auth/refresh", hold_first)
    change(tab, expires_at=0)

    ask_again(tab)
    ask_again(other_tab)

    other_tab.wait_for_function(
        "navigator.locks.query().then(({ held, pending }) => held.length && pending.length)"
    )
    assert len(sent) == 1
    # The storage of another tab may be a moment late. Then it sends the old token again.
    sent[0].continue_()
    expect(greeting(tab)).to_be_visible()
    expect(greeting(other_tab)).to_be_visible()
    for each in (tab, other_tab):
        ask_again(each)
        expect(greeting(each)).to_be_visible()


def test_a_copied_token_leads_both_tabs_to_the_login(
    tab: Page, other_tab: Page, application: Application
) -> None:
    copied = stored(tab)["refresh_token"]
    for _ in range(2):
        copied = refreshed(application, copied)
    change(tab, expires_at=0)
    made = calls(tab)

    ask_again(tab)

    reason = tab.get_by_role("status")
    expect(reason).to_contain_text("Somebody may have copied your session")
    expect(other_tab.get_by_role("button", name="Log in")).to_be_visible()
    assert made == [("/auth/refresh", 401)]
    assert tab.evaluate("localStorage.length") == 0


def refreshed(application: Application, token: str) -> str:
    answer = requests.post(
        f"{application.server.api}/auth/refresh", json={"refresh_token": token}, timeout=30
    )
    successor: str = answer.json()["refresh_token"]
    return successor


def test_a_logout_ends_the_session_and_reaches_the_other_tab(
    tab: Page, other_tab: Page, application: Application
) -> None:
    token = {"refresh_token": stored(tab)["refresh_token"]}

    with tab.expect_response("**/auth/logout") as answer:
        tab.get_by_role("button", name="Log out").click()

    expect(other_tab.get_by_role("status")).to_have_text("You are logged out.")
    assert answer.value.status == 204
    refused = requests.post(f"{application.server.api}/auth/refresh", json=token, timeout=30)
    assert refused.json()["code"] == "invalid_refresh_token"
