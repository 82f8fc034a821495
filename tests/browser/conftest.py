"""Chromium, a server for it, and the mail of that server.

``context`` and ``page`` are Playwright's: a browser without cookies for each
test. ``without_scripts`` is a page in a browser that runs no scripts.
"""

import email
import email.policy
import os
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from flask import Flask
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

from tests.conftest import ENVIRONMENT
from tests.servers import Server, free_port, serving
from tests.waiting import until


@pytest.fixture(scope="session")
def chromium_program() -> str:
    program = shutil.which("chromium") or shutil.which("chromium-browser")
    if program is None and os.environ.get("CI") == "true":
        pytest.fail("CI=true wants Chromium: apt install chromium.")
    if program is None:
        pytest.skip("Chromium is not installed: apt install chromium.")
    return program


@pytest.fixture(scope="session")
def playwright_browser(chromium_program: str) -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=chromium_program,
            # As root, which a container is, the sandbox does not start.
            args=["--no-sandbox", "--disable-dev-shm-usage"],
        )
        yield browser
        browser.close()


@dataclass
class Site:
    """A server on ``localhost``, where browsers keep Secure cookies without https."""

    server: Server
    url: str
    mails: Path

    def mailed_link(self, address: str, page: str) -> str:
        """The link to a page in a mail to the address, once it is there."""
        link: str = until(lambda: self._link(address, page))
        return link

    def _link(self, address: str, page: str) -> str | None:
        for file in sorted(self.mails.glob("*.eml"), key=lambda file: -file.stat().st_mtime_ns):
            mail = email.message_from_bytes(file.read_bytes(), policy=email.policy.default)
            body = mail.get_body(("plain",))
            assert body is not None
            found = re.search(rf"\S+/account/{page}#token=\S+", body.get_content())
            if mail["To"] == address and found:
                return found[0]
        return None


@pytest.fixture(scope="module")
def site(
    session_app: Flask, database_url: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Site]:
    log, port = tmp_path_factory.mktemp("site") / "gunicorn.log", free_port()
    url = f"http://localhost:{port}"
    variables = ENVIRONMENT | {"PAGES": "true", "PUBLIC_URL": url, "DATABASE_URL": database_url}
    with serving(log, **variables, WEB_CONCURRENCY="1", WEB_THREADS="4", port=port) as server:
        yield Site(server, url, log.parent / "mail")


@pytest.fixture
def context(playwright_browser: Browser, site: Site) -> Iterator[BrowserContext]:
    context = playwright_browser.new_context(base_url=site.url, locale="en-GB")
    yield context
    context.close()


@pytest.fixture
def page(context: BrowserContext) -> Page:
    return context.new_page()


@pytest.fixture
def without_scripts(playwright_browser: Browser, site: Site) -> Iterator[Page]:
    context = playwright_browser.new_context(
        base_url=site.url, locale="en-GB", java_script_enabled=False
    )
    yield context.new_page()
    context.close()
