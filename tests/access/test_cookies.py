"""Sessions that a cookie holds: how they begin, rise, last and end."""

from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
import sqlalchemy
import time_machine
from flask import Flask
from flask.testing import FlaskClient
from flask_jwt_extended import current_user, get_jwt_identity, jwt_required
from sqlalchemy import select

from app.access.guards import signed_in
from app.database.prepared import Compiled
from app.extensions import db
from app.models import Session, User
from app.security import random_tokens, tokens
from tests.cookies import SESSION, browser, cookies_set, hold, secret_of, sign_in
from tests.factories import API, PASSWORD, log_in, me, problem, refresh

HOUR = timedelta(hours=1)
NEW = "another horse battery staple"


@pytest.fixture
def bobs(app: Flask, bob: User) -> FlaskClient:
    """The browser in which Bob is signed in."""
    client = browser(app)
    sign_in(client, bob)
    return client


@pytest.fixture
def still() -> Iterator[Any]:
    with time_machine.travel("2026-11-27T12:00:15Z", tick=False) as traveller:
        yield traveller


def only_session(app: Flask) -> Session:
    with app.app_context():
        return db.session.scalars(select(Session)).one()


def test_a_login_by_cookie_answers_with_the_session_and_no_token(app: Flask, bob: User) -> None:
    client = browser(app)

    answer = client.post(
        f"{API}/auth/login?cookie=true", json={"username": "bob", "password": PASSWORD}
    )

    assert answer.status_code == 200
    assert list(answer.json) == ["session"]
    assert answer.json["session"]["kind"] == "cookie"
    assert answer.json["session"]["is_current"] is True
    assert answer.json["session"]["fresh_until"] is not None
    assert list(cookies_set(answer)) == [SESSION]
    cookie = cookies_set(answer)[SESSION]
    assert len(cookie.pop("value")) == 43
    assert cookie == {"Secure": "", "HttpOnly": "", "Path": "/", "SameSite": "Lax"}
    assert client.get(f"{API}/users/me").json["username"] == "bob"
    [listed] = client.get(f"{API}/auth/sessions").json["items"]
    assert listed["kind"] == "cookie"


def test_the_database_holds_only_a_digest_of_the_secret(app: Flask, bobs: FlaskClient) -> None:
    session = only_session(app)

    assert session.cookie_hash == random_tokens.digest(secret_of(bobs))
    assert secret_of(bobs) not in str(vars(session))


def test_authorization_decides_before_the_cookie(app: Flask, ada: User, bobs: FlaskClient) -> None:
    pair = log_in(app.test_client(), ada)

    assert me(bobs, pair["access_token"]).json["username"] == "ada"
    for header in ("Bearer garbage", "Basic YWRhOnB3", ""):
        answer = bobs.get(f"{API}/users/me", headers={"Authorization": header})
        assert answer.status_code == 401
        assert not cookies_set(answer)
    assert bobs.get(f"{API}/users/me").json["username"] == "bob"


def test_a_cookie_that_is_no_good_is_refused_and_cleared(app: Flask, bobs: FlaskClient) -> None:
    stranger = browser(app)
    hold(stranger, "garbage")
    unknown = stranger.get(f"{API}/users/me")
    ended = browser(app)
    hold(ended, secret_of(bobs))
    assert bobs.post(f"{API}/auth/logout").status_code == 204

    over = ended.get(f"{API}/users/me")

    assert problem(unknown) == (401, "not_authenticated")
    assert problem(over) == (401, "session_ended")
    for answer in (unknown, over):
        cookie = cookies_set(answer)[SESSION]
        assert (cookie["value"], cookie["Max-Age"]) == ("", "0")
    assert secret_of(ended) == ""


def test_a_logout_clears_the_cookie_unless_it_ends_only_the_others(bobs: FlaskClient) -> None:
    assert not cookies_set(bobs.post(f"{API}/auth/logout?scope=others"))
    assert bobs.get(f"{API}/users/me").status_code == 200

    answer = bobs.post(f"{API}/auth/logout")

    assert cookies_set(answer)[SESSION]["Max-Age"] == "0"
    assert secret_of(bobs) == ""


def reauthenticate(client: FlaskClient) -> Any:
    return client.post(f"{API}/auth/reauthenticate", json={"password": PASSWORD})


def change_password(client: FlaskClient) -> Any:
    body = {"current_password": PASSWORD, "new_password": NEW}
    return client.post(f"{API}/auth/password/change", json=body)


@pytest.mark.parametrize("rise", [reauthenticate, change_password])
def test_each_rise_gives_the_session_a_new_secret(
    app: Flask, bobs: FlaskClient, rise: Callable[[FlaskClient], Any]
) -> None:
    before = secret_of(bobs)
    thief = browser(app)
    hold(thief, before)

    answer = rise(bobs)

    assert answer.status_code == 200
    assert list(answer.json) == ["session"]
    assert answer.json["session"]["fresh_until"] is not None
    assert secret_of(bobs) != before
    assert bobs.get(f"{API}/users/me").status_code == 200
    assert problem(thief.get(f"{API}/users/me")) == (401, "not_authenticated")


def test_a_refused_rise_keeps_the_secret(bobs: FlaskClient) -> None:
    before = secret_of(bobs)

    wrong = bobs.post(f"{API}/auth/reauthenticate", json={"password": "wrong"})

    assert problem(wrong) == (403, "wrong_password")
    assert not cookies_set(wrong)
    assert secret_of(bobs) == before
    assert bobs.get(f"{API}/users/me").status_code == 200


def test_the_session_of_a_cookie_is_fresh_for_a_while(app: Flask, bob: User, still: Any) -> None:
    client = browser(app)
    sign_in(client, bob)
    assert client.get(f"{API}/users/me/export").status_code == 200

    still.shift(timedelta(minutes=11))

    assert problem(client.get(f"{API}/users/me/export")) == (401, "fresh_token_required")
    assert client.get(f"{API}/auth/sessions/current").json["fresh_until"] is None
    assert reauthenticate(client).status_code == 200
    assert client.get(f"{API}/users/me/export").status_code == 200


def test_no_token_opens_refreshes_or_ends_the_session_of_a_cookie(
    app: Flask, bobs: FlaskClient
) -> None:
    with app.app_context():
        session = only_session(app)
        pair = tokens.pair_for(session, fresh=True)
        session.refresh_jti = uuid4()
        other = tokens.pair_for(session)
    client = app.test_client()

    assert problem(me(client, pair.access_token)) == (401, "session_ended")
    for token in (pair.refresh_token, other.refresh_token):
        assert problem(refresh(client, token)) == (401, "invalid_refresh_token")
    left = client.post(f"{API}/auth/logout", json={"refresh_token": pair.refresh_token})
    assert problem(left) == (401, "invalid_refresh_token")
    client.post(f"{API}/auth/revoke", data={"token": pair.access_token})
    assert bobs.get(f"{API}/users/me").status_code == 200


def test_a_session_ends_when_nobody_uses_it_and_use_puts_that_off(
    app: Flask, bob: User, still: Any
) -> None:
    client = browser(app)
    sign_in(client, bob)

    still.shift(HOUR)
    assert not cookies_set(client.get(f"{API}/users/me"))
    still.shift(11.9 * HOUR)
    assert client.get(f"{API}/users/me").status_code == 200
    still.shift(12 * HOUR)

    assert problem(client.get(f"{API}/users/me")) == (401, "session_ended")


def test_a_remembered_session_outlives_its_browser_and_renews_the_cookie(
    app: Flask, bob: User, still: Any
) -> None:
    client = browser(app)
    sign_in(client, bob, remember=True)
    before = secret_of(client)

    still.shift(0.9 * HOUR)
    assert not cookies_set(client.get(f"{API}/users/me"))
    still.shift(timedelta(days=13))
    renewed = cookies_set(client.get(f"{API}/users/me"))[SESSION]
    assert (renewed["value"], renewed["Max-Age"]) == (before, "1209600")
    still.shift(timedelta(days=13))
    # SESSION_MAX_AGE_DAYS (30) is near.
    last = cookies_set(client.get(f"{API}/users/me"))[SESSION]
    assert 3 * 86400 < int(last["Max-Age"]) < 4 * 86400
    still.shift(timedelta(days=4))

    assert problem(client.get(f"{API}/users/me")) == (401, "session_ended")


def test_a_short_idle_time_is_renewed_at_each_tenth(
    app: Flask, bob: User, still: Any, set_settings: Callable[..., None]
) -> None:
    set_settings(cookie_idle=timedelta(minutes=10))
    client = browser(app)
    sign_in(client, bob)
    for _ in range(15):
        still.shift(timedelta(minutes=1, seconds=1))
        assert client.get(f"{API}/users/me").status_code == 200


def test_a_request_is_one_statement_and_rarely_a_second_one(
    app: Flask, bob: User, still: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = browser(app)
    sign_in(client, bob)
    executed: list[str] = []
    run = Compiled.run

    def note(self: Compiled, connection: Any, values: dict[str, Any]) -> Any:
        executed.append(self.text.split()[0])
        return run(self, connection, values)

    monkeypatch.setattr(Compiled, "run", note)
    with app.app_context():
        engine = db.engine
    sqlalchemy.event.listen(engine, "before_cursor_execute", lambda *call: executed.append(call[2]))

    def statements() -> list[str]:
        executed.clear()
        assert client.get(f"{API}/users/me").status_code == 200
        return list(executed)

    assert statements() == ["SELECT"]
    still.shift(HOUR)
    assert statements() == ["SELECT", "UPDATE"]
    assert statements() == ["SELECT"]


def test_cookies_need_https_or_this_machine(
    app: Flask, bob: User, set_settings: Callable[..., None]
) -> None:
    body = {"username": "bob", "password": PASSWORD}
    statuses = {}
    for url in (
        "https://a.example",
        "http://localhost:8000",
        "http://127.0.0.1",
        "http://a.example",
    ):
        set_settings(public_url=url)
        answer = browser(app).post(f"{API}/auth/login?cookie=true", json=body)
        statuses[url] = (answer.status_code, answer.json.get("code"))

    assert statuses == {
        "https://a.example": (200, None),
        "http://localhost:8000": (200, None),
        "http://127.0.0.1": (200, None),
        "http://a.example": (400, "bad_request"),
    }


def test_our_guard_takes_cookies_in_any_blueprint_and_jwt_required_does_not(
    new_app: Callable[..., Flask], bob: User
) -> None:
    app = new_app()
    for path, guard in (("/ours", signed_in), ("/library", jwt_required())):

        def greet() -> dict[str, str]:
            return {"name": current_user.username, "id": get_jwt_identity()}

        app.add_url_rule(path, path, guard(greet))
    client = browser(app)
    sign_in(client, bob)

    assert client.get("/ours").json == {"name": "bob", "id": str(bob.id)}
    assert problem(client.get("/library")) == (401, "not_authenticated")
