"""The pages to which the links in mails lead."""

import json
import re
import shutil
import subprocess
from html.parser import HTMLParser
from pathlib import Path

import pytest
from flask import Flask
from flask.testing import FlaskClient

from app.extensions import db
from app.models import User
from app.models.one_time_token import OneTimeToken
from app.pages import mailed_links
from app.pages.mailed_links import ASSETS, PAGES
from app.security import one_time_tokens
from app.security.one_time_tokens import Purpose
from tests.cases import each
from tests.factories import API, problem
from tests.servers import ROOT

each_page = pytest.mark.parametrize("name", PAGES)
each_asset = pytest.mark.parametrize("name", ASSETS)

FOLDER = Path(mailed_links.__file__).parent


def policy_of(header: str) -> dict[str, set[str]]:
    directives = (directive.split() for directive in header.split(";"))
    return {name: set(values) for name, *values in directives}


class References(HTMLParser):
    """What a page loads, and whether anything in it runs in place."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.loaded: list[str] = []
        self.in_place: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        given = dict(attributes)
        self.loaded += [value or "" for key, value in given.items() if key in ("src", "href")]
        self.in_place += [key for key in given if key == "style" or key.startswith("on")]
        if tag == "style" or (tag == "script" and "src" not in given):
            self.in_place.append(tag)


@each_page
def test_a_page_is_there(client: FlaskClient, name: str) -> None:
    response = client.get(f"/account/{name}", buffered=True)

    assert response.status_code == 200
    assert response.mimetype == "text/html"


@each_page
def test_a_page_has_a_strict_policy_of_its_own(client: FlaskClient, name: str) -> None:
    response = client.get(f"/account/{name}", buffered=True)

    (header,) = response.headers.getlist("Content-Security-Policy")
    policy = policy_of(header)
    assert policy["default-src"] == policy["frame-ancestors"] == policy["base-uri"] == {"'none'"}
    assert policy["form-action"] == {"'none'"}
    assert policy["script-src"] == policy["style-src"] == policy["connect-src"] == {"'self'"}


@each_page
def test_a_page_carries_the_security_headers(client: FlaskClient, name: str) -> None:
    headers = client.get(f"/account/{name}", buffered=True).headers

    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Referrer-Policy"] == "no-referrer"


@each_page
def test_a_page_loads_its_own_assets_alone(client: FlaskClient, name: str) -> None:
    references = References(client.get(f"/account/{name}", buffered=True).text)

    assert sorted(references.loaded) == sorted(ASSETS)
    assert references.in_place == []


@each_asset
def test_an_asset_is_there_and_names_no_third_party(client: FlaskClient, name: str) -> None:
    response = client.get(f"/account/{name}", buffered=True)

    assert response.status_code == 200
    assert response.mimetype in ("text/javascript", "text/css")
    assert response.headers["X-Content-Type-Options"] == "nosniff"
    assert not re.search(r"https?:|//[a-z]|@import|url\(", response.text.replace("\n//", "\n"))


@each_page
@each("method", ["post", "put", "patch", "delete"])
def test_a_page_can_only_be_read(client: FlaskClient, name: str, method: str) -> None:
    response = getattr(client, method)(f"/account/{name}")

    assert problem(response) == (405, "method_not_allowed")


@each(
    "path",
    [
        "/account/",
        "/account/nothing",
        "/account/index.html",
        "/account/__init__.py",
        "/account/..%2f..%2fconfig.py",
        "/account/../../config.py",
        "/account/VERIFY-EMAIL",
        "/account/verify-email/",
        "/account/page.js%00",
    ],
)
def test_an_unknown_page_is_answered_like_any_other_unknown_path(
    client: FlaskClient, path: str
) -> None:
    response = client.get(path, buffered=True)

    assert problem(response) == (404, "not_found")


def test_opening_a_link_burns_nothing(app: Flask, client: FlaskClient, ada: User) -> None:
    with app.app_context():
        token = one_time_tokens.issue(ada.id, Purpose.EMAIL_VERIFICATION, email=ada.email)
        db.session.commit()

    for name in PAGES:
        # A scanner may even send what browsers do not.
        client.get(f"/account/{name}", buffered=True)
        client.head(f"/account/{name}", buffered=True)
        client.get(f"/account/{name}?token={token}", buffered=True)

    with app.app_context():
        assert db.session.scalars(db.select(OneTimeToken.used_at)).all() == [None]
    clicked = client.post(f"{API}/auth/email/verify", json={"token": token})
    assert clicked.status_code == 204


def test_opening_a_page_asks_the_database_nothing(
    client: FlaskClient, statements: list[str]
) -> None:
    statements.clear()

    for name in (*PAGES, *ASSETS):
        client.get(f"/account/{name}", buffered=True)

    assert statements == []


@each_page
def test_the_script_knows_the_page_and_posts_to_a_call_that_there_is(app: Flask, name: str) -> None:
    script = (FOLDER / "page.js").read_text()

    found = re.search(rf'"{name}": {{ call: "([a-z/-]+)"', script)

    assert found is not None
    adapter = app.url_map.bind("localhost")
    assert adapter.test(f"{API}/auth/{found[1]}", method="POST")


def test_the_script_writes_text_and_never_markup() -> None:
    script = (FOLDER / "page.js").read_text()

    assert not re.search(r"innerHTML|outerHTML|document\.write|eval\(|insertAdjacent", script)
    assert "history.replaceState" in script


def test_the_contract_of_the_links_is_kept() -> None:
    assert set(PAGES) == {
        *("verify-email", "reset-password", "confirm-email"),
        *("undo-email-change", "not-me", "accept-invitation"),
    }
    assert (ROOT / "app" / "pages" / "mailed_links" / "index.html").is_file()


# The token in the tab


def in_a_tab(*visits: str, answer: int = 400, **plan: bool) -> dict[str, list[str]]:
    """Open the page with these fragments, one after the other, and click each time."""
    node = shutil.which("node")
    if node is None:
        pytest.skip("no node")
    script, tab = str(FOLDER / "page.js"), str(ROOT / "tests" / "page_in_a_tab.js")
    told = json.dumps({"visits": visits, "answer": answer} | plan)
    done = subprocess.run([node, tab, script, told], capture_output=True, text=True, check=True)
    result: dict[str, list[str]] = json.loads(done.stdout)
    return result


def test_a_page_that_is_loaded_again_still_has_its_token_and_shows_it_nowhere() -> None:
    result = in_a_tab("#token=one", "")

    assert result["posted"] == ["one", "one"]
    assert result["shown"] == ["", ""]


def test_a_newer_link_in_the_same_tab_replaces_the_token() -> None:
    assert in_a_tab("#token=one", "#token=two", "")["posted"] == ["one", "two", "two"]


def test_another_link_that_is_pasted_into_the_open_page_loads_it_again() -> None:
    assert in_a_tab("#token=one", follow=True)["shown"] == ["", "reload"]


def test_the_tab_forgets_a_token_that_was_used() -> None:
    result = in_a_tab("#token=one", "", answer=204)

    assert result["posted"] == ["one"]
    assert result["kept"] == []


def test_where_the_browser_keeps_nothing_the_token_stays_in_the_fragment() -> None:
    result = in_a_tab("#token=one", "#token=one", blocked=True)

    assert result["posted"] == ["one", "one"]
    assert result["shown"] == ["#token=one", "#token=one"]


def test_a_link_without_a_token_posts_nothing() -> None:
    assert in_a_tab("", "#token=")["posted"] == []
