"""GET /docs and /openapi.json, for people."""

import re
from html.parser import HTMLParser

import pytest
from flask.testing import FlaskClient

from app.models import User
from tests.cases import each
from tests.factories import PASSWORD, bearer, problem


class References(HTMLParser):
    """What a page loads."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[str] = []
        self.feed(page)

    def handle_starttag(self, _tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.found += [value for name, value in attributes if name in ("src", "href") and value]


def page_of(client: FlaskClient) -> str:
    return client.get("/docs", buffered=True).text


def test_the_page_is_html(client: FlaskClient) -> None:
    response = client.get("/docs", buffered=True)

    assert (response.status_code, response.mimetype) == (200, "text/html")


def test_everything_that_the_page_loads_is_served_here(client: FlaskClient) -> None:
    references = References(page_of(client)).found

    assert len(references) >= 4
    for reference in references:
        response = client.get(f"/{reference}", buffered=True)
        assert response.status_code == 200, reference
        assert response.data


def test_scripts_and_styles_are_of_a_type_that_nosniff_lets_pass(client: FlaskClient) -> None:
    types = {
        reference.rpartition(".")[2]: client.get(f"/{reference}", buffered=True).mimetype
        for reference in References(page_of(client)).found
    }

    assert types["js"] == "text/javascript"
    assert types["css"] == "text/css"
    assert types["png"] == "image/png"


@pytest.mark.parametrize("path", ["/docs", "/docs/start.js"])
def test_the_page_names_no_other_server(client: FlaskClient, path: str) -> None:
    text = client.get(path, buffered=True).text

    assert not re.search(r"(https?:)?//[a-z]", text, re.IGNORECASE)


def test_the_page_has_no_inline_script_that_its_policy_would_stop(client: FlaskClient) -> None:
    page = page_of(client)

    assert not re.search(r"<script(?![^>]*\bsrc=)", page)
    assert not re.search(r"\son[a-z]+=", page)


def test_the_page_reads_the_document_of_this_server(client: FlaskClient) -> None:
    script = client.get("/docs/start.js", buffered=True).text

    assert 'fetch("openapi.json")' in script


@each(
    "name",
    [
        "missing.js",
        "../index.html",
        "..%2f..%2fconfig.py",
        "../../../config.py",
        "/etc/passwd",
        "%00",
        "a%00b",
        "",
    ],
)
def test_nothing_else_is_served_as_an_asset(client: FlaskClient, name: str) -> None:
    response = client.get(f"/docs/assets/{name}", buffered=True)

    assert problem(response) == (404, "not_found")


def test_authorize_logs_in_with_the_form(client: FlaskClient, ada: User) -> None:
    document = client.get("/openapi.json").json
    [flow] = [
        scheme["flows"]["password"]
        for scheme in document["components"]["securitySchemes"].values()
        if scheme["type"] == "oauth2"
    ]

    # As Swagger UI sends it.
    response = client.post(
        flow["tokenUrl"],
        data={"grant_type": "password", "username": "ada", "password": PASSWORD},
        headers={"X-Requested-With": "XMLHttpRequest", "Authorization": "Basic Og=="},
    )

    assert response.status_code == 200, response.text
    me = client.get("/api/v1/users/me", headers=bearer(response.json["access_token"]))
    assert me.json["username"] == "ada"
