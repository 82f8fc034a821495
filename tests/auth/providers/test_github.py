"""GitHub, which signs no ID tokens: its API says who somebody is."""

import base64
import hashlib
import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
from flask import Flask
from sqlalchemy import select

from app.auth.providers import calls
from app.auth.providers.models import Identity
from app.auth.providers.settings import Provider, ProviderSettings
from app.extensions import db
from app.models import User
from app.security.outbound.fetching import Answer
from tests.auth.providers.acme import given, goal_of, place_of
from tests.auth.providers.signing_in import begin, come_back
from tests.factories import API
from tests.pages.person import Page, Person, signed_in

# What a provider answers does not depend on the database.
pytestmark = pytest.mark.postgresql

SETTINGS = Provider(
    name="github",
    label="GitHub",
    issuer="https://github.com",
    client_id="our-client",
    client_secret="s3cret",
    is_github=True,
)
OTHERS = {"email": "octocat@elsewhere.example", "primary": False, "verified": True}


class GitHub:
    """GitHub, as its documentation describes it. ``fetch`` answers in the place of the network."""

    def __init__(self) -> None:
        self.user: dict[str, Any] = {"id": 583231, "login": "octocat"}
        self.emails: Any = [
            OTHERS,
            {"email": "octocat@github.example", "primary": True, "verified": True},
        ]
        self.token: dict[str, Any] = {"access_token": "a", "token_type": "bearer"}
        self.challenge = ""

    def fetch(
        self, url: str, *, headers: Mapping[str, str], body: bytes | None = None, **_: Any
    ) -> Answer:
        if url == "https://github.com/login/oauth/access_token":
            form = dict(parse_qsl((body or b"").decode()))
            digest = hashlib.sha256(form["code_verifier"].encode()).digest()
            assert base64.urlsafe_b64encode(digest).decode().rstrip("=") == self.challenge
            assert (form["client_id"], form["client_secret"]) == ("our-client", "s3cret")
            said: Any = self.token
        else:
            assert headers["Authorization"] == "Bearer a"
            there = {"/user": self.user, "/user/emails": self.emails}
            said = there[url.removeprefix("https://api.github.com")]
        return Answer(200, {"content-type": "application/json"}, json.dumps(said).encode())

    def agree(self, url: str) -> dict[str, str]:
        """Somebody agrees at the page to which the browser went. What it brings back."""
        assert url.startswith("https://github.com/login/oauth/authorize?")
        asked = dict(parse_qsl(urlsplit(url).query))
        assert (asked["scope"], asked["code_challenge_method"]) == ("read:user user:email", "S256")
        self.challenge = asked["code_challenge"]
        return {"state": asked["state"], "code": "c"}


@pytest.fixture
def github(app: Flask, monkeypatch: pytest.MonkeyPatch) -> GitHub:
    found, before = GitHub(), app.config["SETTINGS"]
    tables = {**before.tables, ProviderSettings: given(github=SETTINGS)}
    monkeypatch.setitem(app.config, "SETTINGS", replace(before, tables=tables))
    monkeypatch.setattr(calls, "fetch", found.fetch)
    return found


def sign_in(person: Person, github: GitHub, **beside: str) -> Page:
    goal = goal_of(begin(person, "github"))
    return Page(come_back(person, "github", github.agree(goal) | beside))


def test_the_number_is_the_identity_and_the_address_is_not_believed(
    app: Flask, github: GitHub
) -> None:
    person = Person(app)
    page = person.follow(sign_in(person, github))
    assert page.form().fields["username"] == "octocat"
    assert page.form().fields["email"] == "octocat@github.example"
    assert place_of(person.send(page).answer) == "/account"
    assert person.client.get(f"{API}/users/me").json["email_verified"] is False

    # The login name is another one now, and the number is the same.
    github.user["login"] = "renamed"
    again = Person(app)
    assert place_of(sign_in(again, github).answer) == "/account"
    with app.app_context():
        [identity] = db.session.scalars(select(Identity)).all()
        assert (identity.issuer, identity.subject) == ("https://github.com", "583231")


@pytest.mark.parametrize(
    "emails",
    [[OTHERS], [{**OTHERS, "primary": True, "verified": False}], {"message": "Not Found"}, [1]],
    ids=["not the primary one", "not verified", "no list", "no addresses"],
)
def test_only_the_primary_address_counts_and_only_if_it_is_verified(
    app: Flask, github: GitHub, emails: Any
) -> None:
    github.emails = emails
    person = Person(app)

    page = person.follow(sign_in(person, github))

    assert page.form().fields["email"] == ""


@pytest.mark.parametrize(
    ("token", "user", "status"),
    [
        # GitHub says it with the status 200.
        ({"access_token": None, "error": "bad_verification_code"}, {}, 502),
        ({"access_token": None}, {}, 502),
        ({}, {"id": "583231"}, 502),
        ({}, {"id": True}, 502),
        ({}, {"id": None}, 502),
    ],
)
def test_an_answer_that_names_nobody_is_refused(
    app: Flask, github: GitHub, token: dict[str, Any], user: dict[str, Any], status: int
) -> None:
    github.token |= token
    github.user |= user

    assert sign_in(Person(app), github).status == status


def test_an_answer_of_another_issuer_is_refused(app: Flask, github: GitHub) -> None:
    assert sign_in(Person(app), github, iss="https://id.acme.example").status == 400


def test_it_cannot_be_asked_for_a_new_proof(app: Flask, github: GitHub, ada: User) -> None:
    answer = begin(signed_in(app, ada), "github", purpose="reauthenticate")

    assert answer.status_code == 400
