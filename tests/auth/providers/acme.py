"""A provider in this process: it takes the place of the outbound door, and signs real tokens."""

import base64
import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any
from unittest.mock import patch
from urllib.parse import parse_qs, parse_qsl, urlencode, urlsplit

from flask import Flask
from joserfc import jws
from joserfc.jwk import ECKey
from werkzeug.test import TestResponse

from app import clock
from app.auth.providers import calls
from app.auth.providers.models import Identity
from app.auth.providers.settings import Provider, ProviderSettings
from app.extensions import db
from app.models import User
from app.security.outbound.fetching import Answer
from tests.pages.person import Page, Person

ISSUER = "https://id.acme.example"
CLIENT_ID = "our-client"
# It gives out the addresses of this domain alone.
DOMAIN = "acme.example"


class Acme:
    """Acme, where people have accounts. ``fetch`` answers in the place of the network."""

    def __init__(self, name: str = "acme", issuer: str = ISSUER) -> None:
        self.name, self.issuer = name, issuer
        self.key = ECKey.generate_key("P-256", {"kid": "1", "alg": "ES256"})
        self.codes: dict[str, tuple[dict[str, Any], str, str]] = {}
        self.calls: list[str] = []

    def settings(self, **changes: Any) -> Provider:
        given: dict[str, Any] = {
            "name": self.name,
            "label": self.name.capitalize(),
            "issuer": self.issuer,
            "client_id": CLIENT_ID,
            "client_secret": "s3cret",
            "scope": "openid email profile",
            "domains": (DOMAIN,),
        }
        return Provider(**given | changes)

    def fetch(self, url: str, *, body: bytes | None = None, **_: Any) -> Answer:
        path = url.removeprefix(self.issuer)
        self.calls.append(path)
        answers = {
            "/.well-known/openid-configuration": lambda: {
                "issuer": self.issuer,
                "authorization_endpoint": f"{self.issuer}/authorize",
                "token_endpoint": f"{self.issuer}/token",
                "jwks_uri": f"{self.issuer}/keys",
            },
            "/keys": lambda: {"keys": [self.key.as_dict(private=False)]},
            "/token": lambda: self._swap(dict(parse_qsl((body or b"").decode()))),
        }
        body = json.dumps(answers[path]()).encode()
        return Answer(200, {"content-type": "application/json"}, body)

    def agree(self, url: str, sub: str, **claims: Any) -> dict[str, str]:
        """Somebody agrees at the page to which the browser went. What it brings back."""
        assert url.startswith(f"{self.issuer}/authorize?")
        asked = dict(parse_qsl(urlsplit(url).query))
        assert asked["code_challenge_method"] == "S256"
        code = f"code-{len(self.codes)}"
        said = {"sub": sub, "nonce": asked["nonce"], **claims}
        self.codes[code] = (said, asked["code_challenge"], asked["redirect_uri"])
        return {"state": asked["state"], "code": code}

    def id_token(self, **claims: Any) -> str:
        now = int(clock.now().timestamp())
        said = {"iss": self.issuer, "aud": CLIENT_ID, "iat": now, "exp": now + 300, **claims}
        header = {"alg": "ES256", "kid": "1"}
        return jws.serialize_compact(header, json.dumps(said), self.key, algorithms=["ES256"])

    def _swap(self, form: dict[str, str]) -> dict[str, str]:
        claims, challenge, redirect_uri = self.codes.pop(form["code"])
        digest = hashlib.sha256(form["code_verifier"].encode()).digest()
        assert base64.urlsafe_b64encode(digest).decode().rstrip("=") == challenge
        assert form["redirect_uri"] == redirect_uri
        return {"access_token": "a", "token_type": "Bearer", "id_token": self.id_token(**claims)}


@contextmanager
def offered(app: Flask, *others: Acme, **changes: Any) -> Iterator[Acme]:
    """Let people sign in with Acme, and with others, for a while."""
    acme = Acme()
    there = {one.name: one for one in (acme, *others)}
    before = app.config["SETTINGS"]
    found = {name: one.settings(**changes) for name, one in there.items()}
    found |= {one.name: one.settings(domains=()) for one in others}
    tables = {**before.tables, ProviderSettings: given(**found)}
    app.config["SETTINGS"] = replace(before, tables=tables)
    app.extensions["provider documents"].clear()

    def fetch(url: str, **request: Any) -> Answer:
        [one] = [one for one in there.values() if url.startswith(f"{one.issuer}/")]
        return one.fetch(url, **request)

    with patch.object(calls, "fetch", fetch):
        try:
            yield acme
        finally:
            now = app.config["SETTINGS"]
            app.config["SETTINGS"] = replace(now, tables=before.tables)


def given(**found: Provider) -> ProviderSettings:
    return ProviderSettings(
        names=list(found), github_client_id="", github_client_secret="", providers=found
    )


def link_directly(app: Flask, user: User, sub: str = "1") -> None:
    """Let a user have the identity of Acme's person ``sub``. Commits."""
    with app.app_context():
        identity = Identity(
            user_id=user.id, issuer=ISSUER, subject=sub, provider="acme", label="somebody"
        )
        db.session.add(identity)
        db.session.commit()


def press(person: Person, page: Page, acme: Acme, **fields: str) -> TestResponse:
    """Press the button of the provider on a page."""
    action = f"/account/with/{acme.name}"
    return person.ask("POST", action, data=page.form(action).fields | fields)


def goal_of(answer: TestResponse) -> str:
    """Where a page goes on to."""
    assert answer.status_code == 200, answer.text
    [goal] = {link for link in Page(answer).links if "://" in link}
    return goal


def come_back(
    person: Person, acme: Acme, brought: dict[str, str], *, method: str = "GET"
) -> TestResponse:
    return person.ask(method, f"/account/with/{acme.name}/callback?{urlencode(brought)}")


def sign_in(
    person: Person, acme: Acme, sub: str, *, next_path: str = "/account", **claims: Any
) -> TestResponse:
    """The whole way from the page to log in, to what the callback answers."""
    page = person.open("/account/login")
    begun = press(person, page, acme, next=next_path)
    return come_back(person, acme, acme.agree(goal_of(begun), sub, **claims))


def place_of(answer: TestResponse) -> str:
    """The path to which a redirect leads, with its query."""
    assert answer.status_code == 303, (answer.status_code, answer.text)
    return answer.headers["Location"]


def next_of(place: str) -> str:
    return parse_qs(urlsplit(place).query)["next"][0]
