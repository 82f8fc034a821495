"""Requests that another site makes a browser send."""

from collections.abc import Callable

import pytest
from flask import Blueprint, Flask, request
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from app.access import cookies, csrf, guards
from app.access.proof import Proof
from app.auth.login import login
from app.auth.login.authentication import authenticate
from app.errors import FormExpired, Unauthorized
from app.models import User
from tests.cases import each
from tests.cookies import FORM, SESSION, browser, cookies_set, hold, secret_of, sign_in
from tests.factories import API, PASSWORD, bearer, log_in, problem

OURS = "http://localhost:8000"
SENDERS: dict[str, dict[str, str]] = {
    "cross-site": {"Sec-Fetch-Site": "cross-site", "Origin": OURS},
    "same-site": {"Sec-Fetch-Site": "same-site", "Origin": OURS},
    "typed": {"Sec-Fetch-Site": "none", "Origin": OURS},
    "empty": {"Sec-Fetch-Site": "", "Origin": OURS},
    "other origin": {"Origin": "https://evil.example"},
    "other port": {"Origin": "http://localhost:8001"},
    "other scheme": {"Origin": "https://localhost:8000"},
    "null": {"Origin": "null"},
    "neither": {},
}
ACCEPTED: dict[str, dict[str, str]] = {
    "same-origin": {"Sec-Fetch-Site": "same-origin"},
    "same-origin first": {"Sec-Fetch-Site": "same-origin", "Origin": "null"},
    "origin": {"Origin": OURS},
}


@pytest.fixture
def bobs(app: Flask, bob: User) -> FlaskClient:
    """A client that holds Bob's cookie, and says nothing about who sends its requests."""
    client = browser(app)
    secret = sign_in(client, bob)
    quiet = app.test_client()
    hold(quiet, secret)
    return quiet


CALLS: dict[str, Callable[[FlaskClient, dict[str, str]], TestResponse]] = {
    "rename": lambda client, headers: client.patch(
        f"{API}/users/me", json={"full_name": "Mallory"}, headers=headers
    ),
    "log out": lambda client, headers: client.post(f"{API}/auth/logout", headers=headers),
    "log in": lambda client, headers: client.post(
        f"{API}/auth/login?cookie=true",
        json={"username": "bob", "password": PASSWORD},
        headers=headers,
    ),
}


@each("call, sender", [(call, sender) for call in CALLS for sender in SENDERS])
def test_a_call_by_cookie_must_come_from_our_origin(
    bobs: FlaskClient, call: str, sender: str
) -> None:
    answer = CALLS[call](bobs, SENDERS[sender])

    assert problem(answer) == (403, "csrf_failed")
    assert not cookies_set(answer)
    assert bobs.get(f"{API}/users/me").json["full_name"] is None


@each("sender", ACCEPTED)
def test_our_own_pages_may_call_by_cookie(bobs: FlaskClient, sender: str) -> None:
    answer = CALLS["rename"](bobs, ACCEPTED[sender])

    assert answer.status_code == 200


def test_a_program_needs_no_header_of_a_browser(app: Flask, ada: User) -> None:
    client = app.test_client()
    pair = log_in(client, ada)
    headers = bearer(pair["access_token"]) | SENDERS["cross-site"]

    assert CALLS["rename"](client, headers).status_code == 200


@each("media_type", ["text/plain", "application/x-www-form-urlencoded", ""])
def test_a_call_by_cookie_takes_json_alone(bobs: FlaskClient, media_type: str) -> None:
    headers = ACCEPTED["same-origin"] | {"Content-Type": media_type}
    # The last one is a call without a body.
    for method, path in (
        ("PATCH", "/users/me"),
        ("POST", "/auth/logout"),
        ("DELETE", "/auth/remembered-devices"),
    ):
        answer = bobs.open(API + path, method=method, data='{"bio": "x"}', headers=headers)
        assert problem(answer) == (415, "unsupported_media_type")


def test_who_may_is_asked_before_the_media_type(bobs: FlaskClient) -> None:
    path = f"{API}/users/1/password-reset"
    headers = ACCEPTED["same-origin"] | {"Content-Type": "text/plain"}

    assert problem(bobs.post(path, data="x", headers=headers))[0] == 403


# Pages: views that are not calls of the API


pages = Blueprint("pages_of_a_test", __name__)


@pages.get("/test/form")
def show_form() -> str:
    try:
        guards.authenticate_request()
    except Unauthorized:
        return csrf.form_token()
    return csrf.form_token()


@pages.post("/test/form")
def take_form() -> str:
    return f"done: {request.form.get('bio')} {len(request.get_data())}"


@pages.post("/test/login")
def take_login() -> str:
    cookies.hold_session(remember="remember" in request.form)
    user = authenticate(request.form["password"], username=request.form["username"])
    return str(login.start(user, Proof()).session.user_id)


@pages.errorhandler(FormExpired)
def show_again(error: FormExpired) -> tuple[str, int]:
    return f"once more: {request.form.get('bio')}", error.status


def add_routes(app: Flask) -> None:
    app.register_blueprint(pages)

    @app.post("/test/bare")
    def bare() -> str:
        return "done"


@pytest.fixture
def paged(make_app: Callable[..., Flask]) -> Flask:
    return make_app(add=add_routes)


def test_a_form_needs_the_token_of_its_browser(paged: Flask, ada: User, bob: User) -> None:
    client, other = browser(paged), browser(paged)
    sign_in(client, ada)
    sign_in(other, bob)
    token = client.get("/test/form").text
    form = {"bio": "x", "csrf_token": token}

    accepted = client.post("/test/form", data=form)
    refused = [
        client.post("/test/form", data=form | {"csrf_token": text})
        for text in ("", "garbage", "a.b", token + "x", other.get("/test/form").text, "é.é")
    ]

    assert accepted.text.startswith("done: x ")
    # The body is still there for a view that reads it by itself.
    assert int(accepted.text.split()[-1]) > 50
    assert {(answer.status_code, answer.text) for answer in refused} == {(403, "once more: x")}
    assert client.get("/test/form").text != token


@each("sender", SENDERS)
def test_a_form_must_come_from_our_origin(paged: Flask, sender: str) -> None:
    client = paged.test_client()
    form = {"bio": "x", "csrf_token": client.get("/test/form").text}

    for path in ("/test/form", "/test/bare"):
        answer = client.post(path, data=form, headers=SENDERS[sender])
        assert problem(answer) == (403, "csrf_failed")


def test_signed_out_a_form_belongs_to_a_cookie_of_its_own(paged: Flask, ada: User) -> None:
    client = browser(paged)
    shown = client.get("/test/form")
    again = client.get("/test/form")
    form = {"csrf_token": shown.text, "username": "ada", "password": PASSWORD}

    cookie = cookies_set(shown)[FORM]
    assert len(cookie.pop("value")) == 43
    assert cookie == {"Secure": "", "HttpOnly": "", "Path": "/", "SameSite": "Lax"}
    assert not cookies_set(again)
    assert browser(paged).post("/test/login", data=form).status_code == 403
    answer = client.post("/test/login", data=form)
    assert answer.text == str(ada.id)
    assert list(cookies_set(answer)) == [SESSION]


def test_a_form_from_before_the_login_still_works_after_it(paged: Flask, ada: User) -> None:
    client = browser(paged)
    token = client.get("/test/form").text
    sign_in(client, ada)

    assert client.post("/test/form", data={"csrf_token": token}).status_code == 200


def test_a_refused_login_of_a_page_sets_no_cookie(paged: Flask, ada: User) -> None:
    client = browser(paged)
    token = client.get("/test/form").text
    form = {"csrf_token": token, "username": "ada", "password": "wrong"}

    answer = client.post("/test/login", data=form)

    assert problem(answer) == (401, "invalid_credentials")
    assert secret_of(client) == ""


def test_a_page_login_replaces_a_cookie_that_is_no_good(paged: Flask, ada: User) -> None:
    client = browser(paged)
    hold(client, "garbage")
    token = client.get("/test/form").text
    form = {"csrf_token": token, "username": "ada", "password": PASSWORD, "remember": "on"}

    answer = client.post("/test/login", data=form)

    assert cookies_set(answer)[SESSION]["Max-Age"] == "1209600"
    assert client.get(f"{API}/users/me").json["username"] == "ada"


def test_a_program_may_post_to_a_page_with_its_token(paged: Flask, ada: User) -> None:
    client = paged.test_client()
    pair = log_in(client, ada)

    assert client.post("/test/bare", headers=bearer(pair["access_token"])).text == "done"
    basic = {"Authorization": "Basic YWRhOnB3"}
    assert problem(client.post("/test/bare", headers=basic)) == (403, "csrf_failed")


def test_the_webhook_of_another_service_needs_no_token(paged: Flask) -> None:
    """A form cannot send this type, and no cookie says who sends it."""
    answer = paged.test_client().post("/test/bare", json={"event": "paid"})

    assert answer.text == "done"


@each("sender", SENDERS)
def test_json_by_cookie_must_come_from_our_origin_at_a_page_too(
    paged: Flask, bob: User, sender: str
) -> None:
    secret = sign_in(browser(paged), bob)
    client = paged.test_client()
    hold(client, secret)

    sent = client.post("/test/bare", json={}, headers=SENDERS[sender])

    assert problem(sent) == (403, "csrf_failed")


def test_what_is_no_route_stays_what_it_was(paged: Flask) -> None:
    client = paged.test_client()

    assert problem(client.post("/nowhere")) == (404, "not_found")
    assert problem(client.delete("/test/form")) == (405, "method_not_allowed")
