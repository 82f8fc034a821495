"""Providers that nobody here wrote, each in a process of its own."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest
import requests
from flask import Flask
from playwright.sync_api import Browser, BrowserContext, Page

from tests.browser.conftest import Site
from tests.conftest import ENVIRONMENT
from tests.security.outbound.strangers import make_certificate
from tests.servers import ROOT, free_port, serving
from tests.waiting import until

NPM = ROOT / "tests" / "npm"
SECRET = "a-secret-of-ours-with-:-and-/"


def settings_for(name: str, issuer: str, **beside: str) -> dict[str, str]:
    """The variables of a provider, at which our client has its name."""
    prefix = f"OIDC_{name.upper()}_"
    found = {"ISSUER": issuer, "CLIENT_ID": name, "CLIENT_SECRET": SECRET, **beside}
    return {prefix + variable: value for variable, value in found.items()}


@contextmanager
def oidc_provider(folder: Path, site: str, *names: str) -> Iterator[str]:
    """``oidc-provider`` of npm, with a client of each name. It is another site than ``localhost``.

    Yields its issuer.
    """
    _skip_without_node()
    issuer = f"http://127.0.0.1:{free_port()}"
    clients = [
        {"client_id": name, "client_secret": SECRET, "redirect_uris": [callback(site, name)]}
        for name in names
    ]
    asked = json.dumps({"issuer": issuer, "clients": clients})
    with _running(folder / "oidc-provider.log", ["node", "provider.mjs", asked], NPM, issuer):
        yield issuer


@contextmanager
def pyop(folder: Path, site: str, name: str, certificate: Path) -> Iterator[str]:
    """``pyop`` of PyPI, which wants https. Yields its issuer."""
    issuer = f"https://127.0.0.1:{free_port()}"
    asked = (issuer, name, SECRET, callback(site, name), str(certificate))
    # A warning of the library is to be seen as an error here.
    command = [sys.executable, "-W", "error", "-m", "tests.browser.pyop_provider", *asked]
    with _running(folder / "pyop.log", command, ROOT, issuer, verify=str(certificate)):
        yield issuer


def callback(site: str, name: str) -> str:
    return f"{site}/account/with/{name}/callback"


def _skip_without_node() -> None:
    is_there = (NPM / "node_modules" / "oidc-provider").is_dir() and shutil.which("node")
    if not is_there and os.environ.get("CI") == "true":
        pytest.fail("CI=true wants node, and the packages that make node-packages installs.")
    if not is_there:
        pytest.skip("Node.js or the packages of tests/npm are missing: make node-packages.")


@contextmanager
def _running(
    log: Path, command: Sequence[str], folder: Path, issuer: str, *, verify: str | bool = True
) -> Iterator[None]:
    with log.open("wb") as output:
        process = subprocess.Popen(command, cwd=folder, stdout=output, stderr=output)

    def answers() -> bool:
        assert process.poll() is None, log.read_text()
        try:
            found = requests.get(
                f"{issuer}/.well-known/openid-configuration", timeout=5, verify=verify
            )
            return found.ok
        except (requests.ConnectionError, requests.Timeout):
            return False

    try:
        until(answers)
        yield
    finally:
        process.terminate()
        process.wait(timeout=20)


# Our server, at which all of them are known, and a browser. Test files import these two.


@pytest.fixture(scope="module")
def site(
    session_app: Flask, database_url: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Site]:
    folder, port = tmp_path_factory.mktemp("site"), free_port()
    url = f"http://localhost:{port}"
    certificate = make_certificate(folder, "127.0.0.1")
    with (
        oidc_provider(folder, url, "node", "form") as one,
        pyop(folder, url, "python", certificate) as two,
    ):
        variables = {
            **settings_for("node", one, DOMAINS="example.com"),
            # The same one, which sends people back with a form as Apple does.
            **settings_for("form", one, RESPONSE_MODE="form_post"),
            **settings_for("python", two),
            "OIDC_PROVIDERS": "node,form,python",
            "OUTBOUND_ALLOW": "127.0.0.0/8",
            "PAGES": "true",
            "PUBLIC_URL": url,
            "SSL_CERT_FILE": str(certificate),
            "WEB_CONCURRENCY": "1",
        }
        log = folder / "gunicorn.log"
        with serving(
            log, **ENVIRONMENT, **variables, DATABASE_URL=database_url, port=port
        ) as server:
            yield Site(server, url, folder / "mail")


@pytest.fixture
def context(
    request: pytest.FixtureRequest, playwright_browser: Browser, site: Site
) -> Iterator[BrowserContext]:
    context = playwright_browser.new_context(
        base_url=site.url,
        locale="en-GB",
        # The certificate of `pyop` is made for this test.
        ignore_https_errors=True,
        java_script_enabled="without scripts" not in request.node.name,
    )
    # A page of `oidc-provider` wants a font from elsewhere.
    context.route(re.compile("fonts"), lambda route: route.abort())
    yield context
    context.close()


# What people do at the pages of providers.


def agree_at_oidc_provider(page: Page, login: str) -> None:
    """Log in there as anybody, and let our server know who it is."""
    page.get_by_placeholder("Enter any login").fill(login)
    page.get_by_placeholder("and password").fill("any")
    page.get_by_role("button", name="Sign-in").click()
    page.get_by_role("button", name="Continue").click()


def refuse_at_oidc_provider(page: Page) -> None:
    page.get_by_role("link", name="[ Cancel ]").click()


def agree_at_pyop(page: Page, name: str) -> None:
    page.get_by_label("Name").fill(name)
    page.get_by_role("button", name="Agree").click()


def refuse_at_pyop(page: Page) -> None:
    page.get_by_role("button", name="Refuse").click()
