"""Somebody who goes through the states of a page, in Chromium."""

from types import SimpleNamespace
from typing import Any
from urllib.parse import urlsplit

from flask import Flask
from playwright.sync_api import BrowserContext, Response

from tests.browser.conftest import Site
from tests.cookies import FORM, SESSION, secret_of
from tests.pages.person import Page
from tests.pages.scenes.visit import Visit

# Fills in a form and presses its button. The server is to judge what was typed, not the browser.
FILL_IN = """
([action, press, typed]) => {
  const form = action
    ? [...document.forms].find((form) => form.getAttribute("action") === action)
    : document.getElementById("form");
  for (const [name, value] of Object.entries(typed)) {
    const field = form.elements[name];
    if (field.type === "checkbox") field.checked = true;
    else field.value = value;
  }
  form.noValidate = true;
  const buttons = [...form.elements].filter((one) => one.type === "submit");
  form.requestSubmit(buttons.find((one) => !press || one.textContent.trim() === press));
}
"""


class BrowserVisit(Visit):
    """``html`` is the last answer as the server sent it. ``tab`` is where it is shown."""

    def __init__(self, app: Flask, locale: str, context: BrowserContext, site: Site) -> None:
        super().__init__(app, locale)
        self.origin = site.url
        self.context = context
        context.clear_cookies()
        self.tab = context.pages[0] if context.pages else context.new_page()
        self.html = ""
        # The cookies that the browser has from the test client.
        self._taken: dict[str, str] = {}

    def open(self, path: str) -> None:
        self._take_cookies_along()
        self._arrive(self.tab.goto(path))

    def send(self, action: str | None = None, *, press: str | None = None, **typed: Any) -> None:
        # The scripts of a page change its address too, and that is no answer.
        with self.tab.expect_event("load"), self.tab.expect_response(_is_a_page) as arriving:
            self.tab.evaluate(FILL_IN, [action, press, typed])
        self._arrive(arriving.value)

    def download(self, action: str) -> None:
        with self.tab.expect_download() as saved:
            self.tab.evaluate(FILL_IN, [action, None, {}])
        assert saved.value.suggested_filename

    def lose_the_form(self) -> None:
        self.context.clear_cookies(name=FORM)

    def _arrive(self, response: Response | None) -> None:
        assert response is not None
        self.html = response.text()
        request = SimpleNamespace(path=urlsplit(self.tab.url).path)
        answer = SimpleNamespace(status_code=response.status, text=self.html, request=request)
        self.page = Page(answer)

    def _take_cookies_along(self) -> None:
        """Let the browser be signed in if the test client has just signed in."""
        for name in ("locale", SESSION):
            secret = secret_of(self.client, name)
            if secret and self._taken.get(name) != secret:
                self._taken[name] = secret
                cookie = {"name": name, "value": secret, "domain": "localhost", "path": "/"}
                self.context.add_cookies([{**cookie, "secure": True, "httpOnly": True}])


def _is_a_page(response: Response) -> bool:
    return response.request.is_navigation_request() and response.status != 303
