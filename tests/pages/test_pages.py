"""What all pages have in common: headers, languages, errors, and that they can be turned off."""

import re
from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask
from jinja2 import Environment

from app.models import User
from app.pages import assets, registering
from app.pages.mailed_links.kinds import PAGES as MAILED
from tests.cases import each
from tests.factories import problem
from tests.pages.person import ACCEPT, Person

ACCOUNT_PAGES = [
    *("/account", "/account/password", "/account/email", "/account/devices", "/account/activity"),
    *("/account/export", "/account/delete", "/account/reauthenticate"),
]
OPEN_PAGES = [
    *("/account/login", "/account/register", "/account/forgot"),
    *("/account/verify-email/new-link", "/account/reset-password/new-link"),
    *(f"/account/{name}" for name in MAILED),
]


@each("path", [*OPEN_PAGES, *ACCOUNT_PAGES])
def test_a_page_has_the_headers_of_pages(ada_at_home: Person, app: Flask, path: str) -> None:
    person = Person(app) if path in OPEN_PAGES else ada_at_home

    answer = person.ask("GET", path)

    assert answer.status_code == 200
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.headers["Vary"] == "Cookie, Accept-Language"
    assert answer.headers["Referrer-Policy"] == "same-origin"
    [policy] = answer.headers.getlist("Content-Security-Policy")
    assert "unsafe" not in policy
    assert {"default-src 'none'", "form-action 'self'"} <= set(policy.split("; "))
    assert not re.search(r"<style|<script(?![^>]* src=)|\sstyle=|\son[a-z]+=", answer.text)


@each("path", ACCOUNT_PAGES)
def test_nobody_is_sent_to_the_login(visitor: Person, path: str) -> None:
    answer = visitor.ask("GET", f"{path}?a=b", Accept="*/*")

    assert answer.status_code == 303
    assert answer.headers["Location"].startswith("/account/login")
    assert visitor.open(path).form().fields["next"] == path


@each(("path", "goal"), [("/", "/account"), ("/.well-known/change-password", "/account/password")])
def test_well_known_addresses_lead_to_a_page(visitor: Person, path: str, goal: str) -> None:
    answer = visitor.ask("GET", path)

    assert (answer.status_code, answer.headers["Location"]) == (303, goal)


@each("path", ["/account", "/account/password", "/account/login", "/account/logout"])
def test_a_form_of_another_site_changes_nothing(ada_at_home: Person, path: str) -> None:
    answer = ada_at_home.ask("POST", path, data={"full_name": "x"}, **{"Sec-Fetch-Site": "none"})

    assert answer.status_code == 403
    assert "Nothing was changed." in answer.text


# Languages


def test_the_browser_chooses_the_language_then_the_cookie_then_the_account(
    app: Flask, ada: User
) -> None:
    person = Person(app, **{"Accept-Language": "zh-CN,en;q=0.5"})
    assert person.open("/account/login").heading == "登录"

    person.client.set_cookie("locale", "en")
    assert person.open("/account/login").heading == "Log in"

    person.client.set_cookie("locale", "zh")
    assert person.log_in(ada).heading == "Profile"


@each("cookie", ["", "de", "zh-CN", "../../etc", "en\x01"])
def test_an_unknown_language_in_the_cookie_is_ignored(visitor: Person, cookie: str) -> None:
    visitor.client.set_cookie("locale", cookie)

    assert visitor.open("/account/login").heading == "Log in"


def test_the_switch_keeps_what_was_typed_without_scripts(visitor: Person, ada: User) -> None:
    page = visitor.open("/account/login?next=/account/password")

    shown = visitor.send(page, press="中文", username="ada", password="secret", remember="true")

    assert (shown.status, shown.heading, shown.summary) == (200, "登录", "")
    fields = shown.form().fields
    assert (fields["username"], fields["remember"]) == ("ada", "true")
    assert fields["next"] == "/account/password"
    assert "secret" not in shown.html
    assert visitor.open("/account/login").heading == "登录"


def test_the_switch_of_a_signed_in_person_is_kept_in_the_account(
    ada_at_home: Person, app: Flask, ada: User
) -> None:
    page = ada_at_home.open("/account")

    shown = ada_at_home.send(page, press="中文", full_name="Ada Lovelace")

    assert (shown.status, shown.heading) == (200, "个人资料")
    assert shown.form().fields["full_name"] == "Ada Lovelace"
    assert shown.form().fields["locale"] == "zh"
    assert ada_at_home.open("/account").form().fields["full_name"] == ""
    elsewhere = Person(app)
    assert elsewhere.log_in(ada).heading == "个人资料"


def test_a_form_without_a_page_of_its_own_cannot_be_shown_in_another_language(
    visitor: Person,
) -> None:
    fields = visitor.open("/account/login").form().fields | {"switch_language": "zh"}

    assert visitor.ask("POST", "/account/language", data=fields).status_code == 400


def test_a_page_without_a_form_has_a_switch_of_its_own(visitor: Person) -> None:
    page = visitor.open("/account/nothing")

    answer = visitor.send(page, "/account/language", press="中文")

    assert answer.answer.headers["Location"] == "/account/nothing"
    assert visitor.follow(answer).heading == "此处没有内容"


# Errors


@each(
    ("method", "path", "status"),
    [
        ("GET", "/account/nothing", 404),
        ("GET", "/nothing", 404),
        ("GET", "/account/assets/nothing.css", 404),
        ("GET", "/account/logout", 405),
    ],
)
def test_an_error_is_a_page_for_a_browser_and_a_document_for_a_program(
    visitor: Person, method: str, path: str, status: int
) -> None:
    page = visitor.ask(method, path)
    document = visitor.ask(method, path, Accept="*/*")

    assert (page.status_code, page.mimetype) == (status, "text/html")
    assert page.headers["Content-Security-Policy"].startswith("default-src 'none'; script-src")
    assert page.headers.get("Allow") == document.headers.get("Allow")
    assert problem(document)[0] == status


@each("path", ["/api/v1/users/me", "/api/v1/nothing", "/healthz/x", "/.well-known/nothing"])
def test_the_api_answers_a_browser_with_documents_too(visitor: Person, path: str) -> None:
    answer = visitor.ask("GET", path)

    assert answer.mimetype == "application/problem+json"


def test_a_bug_is_shown_with_the_number_of_the_request(
    app: Flask, visitor: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(**_: Any) -> None:
        raise RuntimeError("secret detail")

    monkeypatch.setitem(app.view_functions, "login_pages.login_page_get", fail)

    answer = visitor.ask("GET", "/account/login")

    assert (answer.status_code, answer.mimetype) == (500, "text/html")
    assert answer.headers["X-Request-ID"] in answer.text
    assert "secret" not in answer.text


def test_where_the_page_of_an_error_fails_too_the_answer_is_a_document(
    app: Flask, visitor: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(app.jinja_env.globals, "asset", lambda name: 1 / 0)

    assert problem(visitor.ask("GET", "/nothing")) == (404, "not_found")


# Assets


def test_assets_have_their_hash_in_their_name_and_are_kept_for_ever(visitor: Person) -> None:
    page = visitor.open("/account/login")

    found = re.findall(r'(?:href|src)="(/account/assets/[^"]+)"', page.html)

    assert len(found) == 3
    for path in found:
        answer = visitor.ask("GET", path)
        assert answer.status_code == 200
        assert answer.headers["Cache-Control"] == "public, max-age=31536000, immutable"
        assert re.search(r"\.[0-9a-f]{16}\.(css|js|svg)$", path)


def test_the_stylesheet_and_the_script_are_small(app: Flask) -> None:
    sizes = {one.name: len(one.content) for one in app.extensions["assets"].values()}

    assert sizes["pages.css"] <= 14 * 1024
    assert sizes["pages.js"] <= 10 * 1024


def test_the_brand_is_on_the_page(make_app: Any, tmp_path: Any) -> None:
    logo = tmp_path / "logo.svg"
    logo.write_text('<svg xmlns="http://www.w3.org/2000/svg"><path d="M0 0"/></svg>')
    app = make_app(
        BRAND_NAME="<Acme>",
        BRAND_COLOR="#14532d",
        BRAND_LOGO=str(logo),
        SUPPORT_EMAIL="help@acme.example",
    )
    person = Person(app)

    page = person.open("/account/login")

    assert "Log in – <Acme>" in page.title
    assert "mailto:help@acme.example" in page.links
    assert "<Acme>" not in page.html
    with app.app_context():
        style, picture = assets.path_of("pages.css"), assets.path_of("logo.svg")
    assert "--brand:#14532d" in person.ask("GET", style or "").text
    answer = person.ask("GET", picture or "")
    assert answer.mimetype == "image/svg+xml"
    assert "sandbox" in answer.headers["Content-Security-Policy"]
    assert f'src="{picture}"' in page.html


def test_a_path_in_public_url_stands_before_each_path(make_app: Any, ada: User) -> None:
    person = Person(make_app(PUBLIC_URL="https://example.com/id"))

    page = person.ask("GET", "/account/login").text

    assert 'action="/id/account/login"' in page
    assert person.ask("GET", "/").headers["Location"] == "/id/account"


# Turning pages off


def test_without_pages_none_of_their_routes_exists(make_app: Callable[..., Flask]) -> None:
    app = make_app(PAGES="false")

    paths = {rule.rule for rule in app.url_map.iter_rules() if not rule.rule.startswith("/api/")}

    of_mails = {path for path in paths if path.startswith("/account/")}
    assert of_mails == {
        "/account/assets/<name>",
        *(f"/account/{name}{below}" for name in MAILED for below in ("", "/check")),
        *(f"/account/{name}/new-link" for name in ("verify-email", "reset-password")),
    }
    assert "/docs" in paths
    assert not {"/", "/account", "/.well-known/change-password"} & paths


def test_without_pages_an_unknown_path_is_a_document_for_browsers_too(
    make_app: Callable[..., Flask],
) -> None:
    client = make_app(PAGES="false").test_client()

    for path in ("/", "/account", "/account/login", "/nothing"):
        assert problem(client.get(path, headers={"Accept": ACCEPT})) == (404, "not_found")


def test_the_templates_are_compiled_before_the_workers_start(
    make_app: Callable[..., Flask], monkeypatch: pytest.MonkeyPatch
) -> None:
    app = make_app()

    registering.prepare(app)

    monkeypatch.setattr(Environment, "compile", lambda *_arguments: pytest.fail("compiled late"))
    assert app.jinja_env.get_template("account/profile.html")
    assert app.jinja_env.bytecode_cache is None
