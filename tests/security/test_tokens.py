"""Forged, foreign, mangled and misplaced tokens, signed with the real key unless they say so."""

import base64
import hashlib
import hmac
import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any
from uuid import uuid4

import jwt
import pytest
import time_machine
from flask import Flask
from flask.testing import FlaskClient
from jwt.algorithms import get_default_algorithms
from werkzeug.test import TestResponse

from app import clock
from app.models import User
from app.security import tokens
from app.security.signing_keys import signatures
from config import SettingsRefused
from tests.cases import each
from tests.factories import API, bearer, claims_of, log_in, me, problem, refresh

Claims = dict[str, Any]
HEADER = {"alg": "HS256", "typ": "JWT"}
CHALLENGE = 'Bearer error="invalid_token"'
# Deeper than the JSON reader of any Python follows, and still a body that is read.
DEEP = 20_000


def encoded(value: object) -> str:
    """base64url of the value as JSON; bytes as they are."""
    raw = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def signed(
    app: Flask, payload: object, header: object = HEADER, *, key: str = "", digest: str = "sha256"
) -> str:
    """A token as a thief of the key would write it, whatever the library thinks of its content."""
    content = f"{encoded(header)}.{encoded(payload)}"
    secret = (key or app.config["SECRET_KEY"]).encode()
    return f"{content}.{encoded(hmac.digest(secret, content.encode(), digest))}"


def without(name: str) -> Callable[[Claims], Claims]:
    return lambda claims: {key: value for key, value in claims.items() if key != name}


def having(**changes: Any) -> Callable[[Claims], Claims]:
    return lambda claims: claims | changes


def in_an_hour() -> int:
    return int(clock.now().timestamp()) + 3600


REQUIRED = ["type", "exp", "iat", "jti", "sub", "sid", "iss", "aud"]

FORGERIES: dict[str, Callable[[Claims], Claims]] = {
    **{
        f"no {name}": without(name)
        for name in ["type", "exp", "iat", "jti", "sub", "sid", "iss", "aud"]
    },
    **{f"{name} is null": having(**{name: None}) for name in REQUIRED},
    "type reset": having(type="reset"),
    "type Refresh": having(type="Refresh"),
    "type Access": having(type="Access"),
    "type mfa": having(type="mfa"),
    "type empty": having(type=""),
    "type is a list": having(type=["access"]),
    "type is an object": having(type={}),
    "another issuer": having(iss="https://evil.example"),
    "an issuer that begins like ours": having(iss="http://localhost:8000/"),
    "several issuers": having(iss=["http://localhost:8000"]),
    "another audience": having(aud="https://evil.example"),
    "no audience in the list": having(aud=[]),
    "another audience beside us": having(aud=["http://localhost:8000", "https://evil.example"]),
    "audience is an object": having(aud={"http://localhost:8000": True}),
    "audiences of several kinds": having(aud=["http://localhost:8000", 1]),
    "exp is text": having(exp="abc"),
    "exp is a number as text": having(exp="99999999999"),
    "exp is true": having(exp=True),
    "exp is a list": having(exp=[]),
    "exp is a fraction": having(exp=99999999999.5),
    "exp is infinite": having(exp=float("inf")),
    "exp is not a number": having(exp=float("nan")),
    "iat is text": having(iat="abc"),
    "iat is true": having(iat=True),
    "iat is infinite": having(iat=float("inf")),
    "gen is text": having(gen="0"),
    "gen is null": having(gen=None),
    "gen is true": having(gen=True),
    "gen is a fraction": having(gen=0.0),
    "iat in an hour": lambda claims: claims | {"iat": in_an_hour()},
    "iat in ten thousand years": having(iat=10**12),
    "iat beyond any clock": having(iat=10**400),
    "nbf in an hour": lambda claims: claims | {"nbf": in_an_hour()},
    "nbf is text": having(nbf="abc"),
    "nbf is infinite": having(nbf=float("inf")),
    "sub is a number": having(sub=1),
    "sub is empty": having(sub=""),
    "sub is a name": having(sub="ada"),
    "sub is negative": having(sub="-1"),
    "sid is no uuid": having(sid="1"),
    "sid is a number": having(sid=1),
    "sid has a nul": having(sid="\0"),
    "sid has a lone surrogate": having(sid="\ud800"),
    "jti is no uuid": having(jti="1"),
    "jti is a number": having(jti=1),
    "jti is empty": having(jti=""),
}


def test_a_token_signed_anew_is_as_good_as_the_original(
    app: Flask, client: FlaskClient, ada: User
) -> None:
    pair = {
        name: claims_of(token) for name, token in log_in(client, ada).items() if "." in str(token)
    }

    access = me(client, signed(app, pair["access_token"]))
    refreshed = refresh(client, signed(app, pair["refresh_token"]))

    assert (access.status_code, refreshed.status_code) == (200, 200)


@each("forgery", FORGERIES)
def test_a_forged_access_token_is_invalid(
    app: Flask, client: FlaskClient, ada: User, forgery: str
) -> None:
    claims = claims_of(log_in(client, ada)["access_token"])

    response = me(client, signed(app, FORGERIES[forgery](claims)))

    assert problem(response) == (401, "invalid_token")
    assert response.json["detail"] == "Could not validate credentials"
    assert response.headers["WWW-Authenticate"] == CHALLENGE


@each("forgery", FORGERIES)
def test_a_forged_refresh_token_is_invalid(
    app: Flask, client: FlaskClient, ada: User, forgery: str
) -> None:
    claims = claims_of(log_in(client, ada)["refresh_token"])

    response = refresh(client, signed(app, FORGERIES[forgery](claims)))

    assert problem(response) == (401, "invalid_refresh_token")
    assert response.json["detail"] == "Invalid refresh token"


@each("forgery", ["no type", "no exp", "no jti", "no sid", "type reset", "another issuer"])
def test_a_forged_refresh_token_does_not_log_out(
    app: Flask, client: FlaskClient, ada: User, forgery: str
) -> None:
    pair = log_in(client, ada)
    token = signed(app, FORGERIES[forgery](claims_of(pair["refresh_token"])))

    response = client.post(f"{API}/auth/logout", json={"refresh_token": token})

    assert problem(response) == (401, "invalid_refresh_token")
    assert me(client, pair["access_token"]).status_code == 200


def test_an_access_token_says_whether_it_is_fresh(
    app: Flask, client: FlaskClient, ada: User
) -> None:
    claims = claims_of(log_in(client, ada)["access_token"])

    response = me(client, signed(app, without("fresh")(claims)))

    assert problem(response) == (401, "invalid_token")


@each("exp", [0, -1, 1, -(10**400)])
def test_an_access_token_past_its_time_has_expired(
    app: Flask, client: FlaskClient, ada: User, exp: int
) -> None:
    claims = claims_of(log_in(client, ada)["access_token"])

    response = me(client, signed(app, claims | {"exp": exp}))

    assert problem(response) == (401, "token_expired")


def test_a_token_without_end_ends_with_its_session(
    app: Flask, client: FlaskClient, ada: User
) -> None:
    claims = claims_of(log_in(client, ada)["access_token"])
    eternal = signed(app, claims | {"exp": 10**400})

    with time_machine.travel(clock.now() + timedelta(days=14)):
        response = me(client, eternal)

    assert problem(response) == (401, "session_ended")


def test_clocks_of_our_hosts_may_differ_by_seconds(
    app: Flask, client: FlaskClient, ada: User
) -> None:
    claims = claims_of(log_in(client, ada)["access_token"])

    response = me(client, signed(app, claims | {"iat": claims["iat"] + 5}))

    assert response.status_code == 200


@pytest.mark.parametrize("sid", [lambda: str(uuid4()), lambda: str(uuid4()).upper()])
def test_a_session_that_never_was_is_no_session(
    app: Flask, client: FlaskClient, ada: User, sid: Callable[[], str]
) -> None:
    claims = claims_of(log_in(client, ada)["access_token"])

    response = me(client, signed(app, claims | {"sid": sid()}))

    assert response.status_code == 401


@pytest.mark.parametrize("sub", ["{bob}", "0", "99999999999999999999", "9" * 5000, "１"])
def test_an_access_token_of_one_user_in_the_session_of_another_is_no_good(
    app: Flask, client: FlaskClient, ada: User, bob: User, sub: str
) -> None:
    claims = claims_of(log_in(client, ada)["access_token"])

    response = me(client, signed(app, claims | {"sub": sub.format(bob=bob.id)}))

    assert response.status_code == 401


def test_a_refresh_token_of_one_user_in_the_session_of_another_is_no_good(
    app: Flask, client: FlaskClient, ada: User, bob: User
) -> None:
    claims = claims_of(log_in(client, ada)["refresh_token"])

    response = refresh(client, signed(app, claims | {"sub": str(bob.id)}))

    assert problem(response) == (401, "invalid_refresh_token")


# One kind in place of the other


def test_a_refresh_token_is_no_access_token(client: FlaskClient, ada: User) -> None:
    pair = log_in(client, ada)

    response = me(client, pair["refresh_token"])

    assert problem(response) == (401, "invalid_token")
    assert response.headers["WWW-Authenticate"] == CHALLENGE


def test_an_access_token_is_no_refresh_token(client: FlaskClient, ada: User) -> None:
    pair = log_in(client, ada)

    in_body = refresh(client, pair["access_token"])
    as_bearer = client.post(f"{API}/auth/refresh", headers=bearer(pair["access_token"]))

    assert problem(in_body) == (401, "invalid_refresh_token")
    assert problem(as_bearer) == (401, "invalid_refresh_token")


def test_a_mistaken_kind_does_no_harm(client: FlaskClient, ada: User) -> None:
    pair = log_in(client, ada)

    me(client, pair["refresh_token"])
    refresh(client, pair["access_token"])

    assert me(client, pair["access_token"]).status_code == 200
    assert refresh(client, pair["refresh_token"]).status_code == 200


# Signatures and headers


PUBLIC_KEY = """-----BEGIN PUBLIC KEY-----
MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE
-----END PUBLIC KEY-----"""

MANGLED: dict[str, Callable[[Flask, Claims], str]] = {
    "another key": lambda app, claims: signed(app, claims, key="k" * 40),
    "the public url as key": lambda app, claims: signed(app, claims, key="http://localhost:8000"),
    "a public key as key": lambda app, claims: signed(app, claims, key=PUBLIC_KEY),
    "none": lambda app, claims: f"{encoded({'alg': 'none'})}.{encoded(claims)}.",
    "NoNe": lambda app, claims: f"{encoded({'alg': 'NoNe'})}.{encoded(claims)}.",
    "none, signed": lambda app, claims: signed(app, claims, {"alg": "none"}),
    "empty alg": lambda app, claims: signed(app, claims, {"alg": ""}),
    "null alg": lambda app, claims: signed(app, claims, {"alg": None}),
    "alg is a list": lambda app, claims: signed(app, claims, {"alg": ["HS256"]}),
    "no alg": lambda app, claims: signed(app, claims, {"typ": "JWT"}),
    "hs256": lambda app, claims: signed(app, claims, {"alg": "hs256"}),
    "HS384": lambda app, claims: signed(app, claims, {"alg": "HS384"}, digest="sha384"),
    "HS512": lambda app, claims: signed(app, claims, {"alg": "HS512"}, digest="sha512"),
    "RS256": lambda app, claims: signed(app, claims, {"alg": "RS256"}),
    "ES256": lambda app, claims: signed(app, claims, {"alg": "ES256"}),
    "EdDSA": lambda app, claims: signed(app, claims, {"alg": "EdDSA"}),
    "empty signature": lambda app, claims: signed(app, claims).rpartition(".")[0] + ".",
    "no signature": lambda app, claims: signed(app, claims).rpartition(".")[0],
    "half a signature": lambda app, claims: signed(app, claims)[:-20],
    "signature of other claims": lambda app, claims: ".".join(
        [encoded(HEADER), encoded(claims | {"sub": "1"}), signed(app, claims).split(".")[2]]
    ),
    "a digest in place of a signature": lambda app, claims: ".".join(
        [
            encoded(HEADER),
            encoded(claims),
            encoded(hashlib.sha256(encoded(claims).encode()).digest()),
        ]
    ),
    "a fourth part": lambda app, claims: signed(app, claims) + ".x",
    "a dot behind": lambda app, claims: signed(app, claims) + ".",
    "five parts": lambda app, claims: "a.b.c.d.e",
    "critical extension": lambda app, claims: signed(
        app, claims, HEADER | {"crit": ["exp2"], "exp2": 1}
    ),
    "payload not encoded": lambda app, claims: signed(
        app, claims, HEADER | {"b64": False, "crit": ["b64"]}
    ),
    "own key in the header": lambda app, claims: signed(
        app,
        claims,
        HEADER | {"jwk": {"kty": "oct", "k": encoded(b"k" * 40)}, "jku": "https://evil.example"},
        key="k" * 40,
    ),
    "x5c and x5u": lambda app, claims: signed(
        app, claims, HEADER | {"x5c": ["x"], "x5u": "https://evil.example"}, key="k" * 40
    ),
    "kid of /dev/null": lambda app, claims: signed(
        app, claims, HEADER | {"kid": "../../../../dev/null"}, key="\0"
    ),
    "kid with sql": lambda app, claims: signed(
        app, claims, HEADER | {"kid": "' OR 1=1 --"}, key="k" * 40
    ),
    "kid of 10 KB": lambda app, claims: signed(
        app, claims, HEADER | {"kid": "k" * 10_240}, key="k" * 40
    ),
    "kid of 10 KB, real key": lambda app, claims: signed(
        app, claims, HEADER | {"kid": "k" * 10_240}
    ),
    "unknown kid, real key": lambda app, claims: signed(app, claims, HEADER | {"kid": "other"}),
    "kid is a number": lambda app, claims: signed(app, claims, HEADER | {"kid": 1}),
    "kid is an object": lambda app, claims: signed(app, claims, HEADER | {"kid": {}}),
    "header is a list": lambda app, claims: signed(app, claims, ["HS256"]),
    "header is no json": lambda app, claims: signed(app, claims, b"{"),
    "header is no utf-8": lambda app, claims: signed(app, claims, b"\xff\xfe"),
    "header of nested brackets": lambda app, claims: signed(app, claims, b"[" * 5000),
    "header of nested brackets that is not too long": lambda app, claims: signed(
        app, {}, b"[" * 2500
    ),
    "header of deep lists": lambda app, claims: signed(
        app, claims, b'{"alg":"HS256","x":' + b"[" * DEEP + b"]" * DEEP + b"}"
    ),
    "payload of nested brackets": lambda app, claims: signed(app, b"[" * 5000),
    "payload of deep objects": lambda app, claims: signed(app, b'{"x":' * 5000),
    "payload of deep lists": lambda app, claims: signed(
        app, json.dumps(claims).encode()[:-1] + b',"x":' + b"[" * DEEP + b"]" * DEEP + b"}"
    ),
    "payload is a list": lambda app, claims: signed(app, [claims]),
    "payload is null": lambda app, claims: signed(app, None),
    "payload is text": lambda app, claims: signed(app, "ada"),
    "payload is no json": lambda app, claims: signed(app, b"{"),
    "payload is empty": lambda app, claims: signed(app, b""),
    "payload is no utf-8": lambda app, claims: signed(app, b"\xff\xfe"),
    "payload has a number of 5000 digits": lambda app, claims: signed(
        app, json.dumps(claims).encode()[:-1] + b',"x":' + b"9" * 5000 + b"}"
    ),
    "payload has an exp of 5000 digits": lambda app, claims: signed(
        app, json.dumps(without("exp")(claims)).encode()[:-1] + b',"exp":' + b"9" * 5000 + b"}"
    ),
    "payload has an exp of 1e400": lambda app, claims: signed(
        app, json.dumps(without("exp")(claims)).encode()[:-1] + b',"exp":1e400}'
    ),
    "not base64": lambda app, claims: "!!!.???.***",
    "wrong padding": lambda app, claims: "a.a.a",
    "nothing but dots": lambda app, claims: "..",
    "one word": lambda app, claims: "token",
    "200 KB": lambda app, claims: "x" * 200_000,
    "40,000 dots": lambda app, claims: "." * 40_000,
}


@each("mangling", MANGLED)
def test_a_mangled_access_token_is_invalid(
    app: Flask, client: FlaskClient, ada: User, mangling: str
) -> None:
    claims = claims_of(log_in(client, ada)["access_token"])

    response = me(client, MANGLED[mangling](app, claims))

    assert problem(response) == (401, "invalid_token")
    assert response.headers["WWW-Authenticate"] == CHALLENGE


@each("mangling", [name for name in MANGLED if name != "200 KB"])
def test_a_mangled_refresh_token_is_invalid(
    app: Flask, client: FlaskClient, ada: User, mangling: str
) -> None:
    claims = claims_of(log_in(client, ada)["refresh_token"])

    response = refresh(client, MANGLED[mangling](app, claims))

    assert problem(response) == (401, "invalid_refresh_token")


def test_every_invalid_token_is_answered_in_the_same_words(
    app: Flask, client: FlaskClient, ada: User
) -> None:
    claims = claims_of(log_in(client, ada)["access_token"])
    tokens = [
        "x",
        signed(app, claims, key="k" * 40),
        signed(app, claims | {"type": "reset"}),
        signed(app, claims | {"iss": "other"}),
        signed(app, without("jti")(claims)),
        signed(app, claims, {"alg": "none"}),
    ]

    answers = [
        client.get(f"{API}/users/me", headers=bearer(token) | {"X-Request-ID": "same"})
        for token in tokens
    ]

    assert len({answer.data for answer in answers}) == 1
    assert len({tuple(answer.headers) for answer in answers}) == 1


@pytest.mark.parametrize("addition", ["=", "==", "A", "%3D"])
def test_a_token_written_otherwise_is_dead_after_logging_out(
    client: FlaskClient, ada: User, addition: str
) -> None:
    pair = log_in(client, ada)
    client.post(f"{API}/auth/logout", headers=bearer(pair["access_token"]))

    access = me(client, pair["access_token"] + addition)
    refreshed = refresh(client, pair["refresh_token"] + addition)

    assert (access.status_code, refreshed.status_code) == (401, 401)


# The Authorization header


@each(
    "header",
    [
        "",
        " ",
        ",",
        ", ,",
        ", ,x",
        "Bearer",
        "Bearer ",
        "Bearer,",
        "bearer",
        "Bearer a, Bearer b",
        "Bearer a b",
        "Bearer\ta",
        "Bearera.b.c",
        "Bearer: a.b.c",
        "Bearer Bearer",
        'Bearer "a.b.c"',
        "Basic YWRhOnBhc3N3b3Jk",
        "Basic",
        "Digest username=ada",
        "Token a.b.c",
        "JWT a.b.c",
        "a.b.c",
        "Bearer caf\xe9.caf\xe9.caf\xe9",
        "B\xe9arer a.b.c",
        "\xff\xfe\x80",
        "Bearer " + "x" * 200_000,
        "," * 100_000,
        "Bearer " * 20_000,
        "Bearer a\x00b",
    ],
    ids=lambda header: ascii(header)[:30],
)
@each("call", ["GET /users/me", "POST /auth/refresh"])
def test_an_odd_authorization_header_is_nobody(client: FlaskClient, call: str, header: str) -> None:
    method, path = call.split()

    response = client.open(
        API + path, method=method, environ_overrides={"HTTP_AUTHORIZATION": header}
    )

    assert problem(response)[0] == 401
    assert response.headers["WWW-Authenticate"].startswith("Bearer")


@each("header", [None, "", "Basic YWRhOnBhc3N3b3Jk", "Digest username=ada"])
def test_without_a_token_the_answer_names_no_error(client: FlaskClient, header: str | None) -> None:
    headers = {} if header is None else {"Authorization": header}

    response = client.get(f"{API}/users/me", headers=headers)

    assert problem(response) == (401, "not_authenticated")
    assert response.json["detail"] == "Not authenticated"
    assert response.headers["WWW-Authenticate"] == "Bearer"


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER", "bEARER"])
def test_the_scheme_is_case_insensitive(client: FlaskClient, ada: User, scheme: str) -> None:
    pair = log_in(client, ada)

    response = client.get(
        f"{API}/users/me", headers={"Authorization": f"{scheme} {pair['access_token']}"}
    )

    assert response.status_code == 200


@each(
    "header",
    [
        "Bearer {good}, Bearer {good}",
        "Bearer {good} {good}",
        "Bearer {good},Bearer x",
        "Bearer x, Bearer {good}",
        "Bearer Bearer {good}",
        "Basic {good}",
        "{good}",
        "Bearer={good}",
        "Bearer\xa0{good}",
    ],
)
def test_a_good_token_in_an_odd_header_is_nobody(
    client: FlaskClient, ada: User, header: str
) -> None:
    good = log_in(client, ada)["access_token"]

    response = client.get(
        f"{API}/users/me", environ_overrides={"HTTP_AUTHORIZATION": header.format(good=good)}
    )

    assert problem(response)[0] == 401


# The one place where a token is looked for


def by_query(client: FlaskClient, name: str, token: str) -> TestResponse:
    return client.get(f"{API}/users/me", query_string={name: token})


def by_cookie(client: FlaskClient, name: str, token: str) -> TestResponse:
    client.set_cookie(name, token)
    return client.get(f"{API}/users/me")


def by_json(client: FlaskClient, name: str, token: str) -> TestResponse:
    return client.patch(f"{API}/users/me", json={name: token})


def by_form(client: FlaskClient, name: str, token: str) -> TestResponse:
    return client.patch(f"{API}/users/me", data={name: token})


def by_header(client: FlaskClient, name: str, token: str) -> TestResponse:
    return client.get(f"{API}/users/me", headers={f"X-{name}": f"Bearer {token}"})


@each("place", [by_query, by_cookie, by_json, by_form, by_header])
@each("name", ["access_token", "jwt", "token", "access_token_cookie"])
def test_a_token_elsewhere_is_not_looked_at(
    client: FlaskClient,
    ada: User,
    place: Callable[[FlaskClient, str, str], TestResponse],
    name: str,
) -> None:
    pair = log_in(client, ada)

    response = place(client, name, pair["access_token"])

    assert problem(response) == (401, "not_authenticated")


# What a token says


def test_an_access_token_says_no_more_than_it_must(client: FlaskClient, ada: User) -> None:
    token = log_in(client, ada)["access_token"]

    claims = claims_of(token)

    always = {"iss", "aud", "sub", "sid", "jti", "iat", "exp", "type", "fresh"}
    assert claims.keys() == always | {"acr", "amr", "auth_time"}
    assert (claims["sub"], claims["type"]) == (str(ada.id), "access")
    assert claims["exp"] - claims["iat"] == 900


def test_a_refresh_token_says_no_more_than_it_must(client: FlaskClient, ada: User) -> None:
    token = log_in(client, ada)["refresh_token"]

    claims = claims_of(token)

    assert claims.keys() - {"fresh"} == {"iss", "aud", "sub", "sid", "jti", "iat", "exp", "type"}
    assert (claims["sub"], claims["type"]) == (str(ada.id), "refresh")
    assert claims["exp"] - claims["iat"] == 14 * 86400
    assert not claims.get("fresh")


def test_tokens_are_signed_with_hs256(client: FlaskClient, ada: User) -> None:
    pair = log_in(client, ada)

    headers = [jwt.get_unverified_header(pair[name]) for name in ("access_token", "refresh_token")]

    assert [header["alg"] for header in headers] == ["HS256", "HS256"]


def test_a_token_of_another_deployment_with_the_same_key_is_no_good(
    client: FlaskClient, ada: User, make_app: Callable[..., Flask]
) -> None:
    elsewhere = make_app(PUBLIC_URL="https://accounts.example.org").test_client()
    pair = log_in(elsewhere, ada)

    access = me(client, pair["access_token"])
    refreshed = refresh(client, pair["refresh_token"])

    assert problem(access) == (401, "invalid_token")
    assert problem(refreshed) == (401, "invalid_refresh_token")


def test_a_token_signed_with_an_earlier_secret_is_no_good(
    client: FlaskClient, ada: User, make_app: Callable[..., Flask]
) -> None:
    earlier = make_app(SECRET_KEY="an earlier secret: 9876543210 zyxwvutsrqponm").test_client()
    pair = log_in(earlier, ada)

    response = me(client, pair["access_token"])

    assert problem(response) == (401, "invalid_token")


# What it costs


def test_an_authenticated_request_costs_one_statement(
    client: FlaskClient, ada: User, statements: list[str]
) -> None:
    pair = log_in(client, ada)
    statements.clear()

    response = me(client, pair["access_token"])

    assert response.status_code == 200
    assert len(statements) == 1


def test_refreshing_costs_one_statement(
    client: FlaskClient, ada: User, statements: list[str]
) -> None:
    pair = log_in(client, ada)
    statements.clear()

    response = refresh(client, pair["refresh_token"])

    assert response.status_code == 200
    assert len(statements) == 1
    assert statements[0].startswith("UPDATE sessions")


def test_logging_out_costs_three_statements(
    client: FlaskClient, ada: User, statements: list[str]
) -> None:
    pair = log_in(client, ada)
    statements.clear()

    client.post(f"{API}/auth/logout", headers=bearer(pair["access_token"]))

    # Who asks, the end, and the record of it.
    assert [statement.split()[0] for statement in statements] == ["SELECT", "UPDATE", "INSERT"]


@each("mangling", ["another key", "none", "one word", "payload is a list"])
def test_a_token_that_is_not_genuine_costs_no_statement(
    app: Flask, client: FlaskClient, ada: User, statements: list[str], mangling: str
) -> None:
    token = MANGLED[mangling](app, claims_of(log_in(client, ada)["access_token"]))
    statements.clear()

    me(client, token)
    refresh(client, token)

    assert statements == []


def test_the_preflight_of_a_guarded_call_needs_no_token_and_tells_nothing(
    client: FlaskClient,
) -> None:
    response = client.options(f"{API}/users/me")

    assert (response.status_code, response.data) == (200, b"")


# An access token that was found genuine is not verified again


def test_a_text_that_is_longer_than_any_token_is_not_looked_at(app: Flask) -> None:
    with app.app_context(), pytest.raises(jwt.InvalidTokenError, match="too long"):
        tokens.read("." * (tokens.MAX_LENGTH + 1))


def test_what_one_reader_does_to_the_claims_no_other_sees(app: Flask, ada: User) -> None:
    token = log_in(app.test_client(), ada)["access_token"]
    with app.app_context():
        tokens.read_access_token(token)["sub"] = "1000000"

        assert tokens.read_access_token(token)["sub"] == str(ada.id)


def test_a_token_that_was_good_is_refused_as_soon_as_it_expires(
    app: Flask, client: FlaskClient, ada: User
) -> None:
    token = log_in(client, ada)["access_token"]
    assert me(client, token).status_code == 200

    with time_machine.travel(clock.now() + timedelta(minutes=15, seconds=1)):
        assert problem(me(client, token)) == (401, "token_expired")


def test_a_token_that_was_good_elsewhere_is_not_good_for_an_application_with_another_secret(
    make_app: Callable[..., Flask], client: FlaskClient, ada: User
) -> None:
    token = log_in(client, ada)["access_token"]
    assert me(client, token).status_code == 200

    other = make_app(SECRET_KEY="another secret altogether: 0123456789 abc").test_client()

    assert problem(me(other, token)) == (401, "invalid_token")


# PyJWT belongs to the whole process


def test_the_application_leaves_pyjwts_common_algorithms_alone(
    make_app: Callable[..., Flask],
) -> None:
    make_app()

    common = {name: jwt.get_algorithm_by_name(name) for name in get_default_algorithms()}

    assert {name: type(algorithm) for name, algorithm in common.items()} == {
        name: type(algorithm) for name, algorithm in get_default_algorithms().items()
    }


@pytest.mark.parametrize(
    "secret",
    [PUBLIC_KEY, '{"kty": "oct", "k": "c2VjcmV0IHNlY3JldCBzZWNyZXQ"}'],
    ids=["a public key", "a JWK"],
)
def test_a_secret_that_is_a_key_of_another_kind_stops_the_start(
    make_app: Callable[..., Flask], secret: str
) -> None:
    with pytest.raises(SettingsRefused, match="SECRET_KEY looks like a public key"):
        make_app(SECRET_KEY=secret)


def test_a_secret_that_was_not_checked_at_the_start_is_checked_when_it_signs() -> None:
    with pytest.raises(jwt.InvalidKeyError):
        signatures.encode(b"{}", PUBLIC_KEY, "HS256")
