"""A provider that tells one lie at each of its issuers, or none.

It listens on loopback, and ``http://127.0.0.1:<port>/<name>`` is the issuer of
the lie with this name. So nothing that was read from one issuer can help at
another. Tokens are put together by hand here: a library would refuse most of
what an attacker would send.
"""

import base64
import hashlib
import hmac
import json
import socket
import ssl
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from secrets import token_urlsafe
from typing import Any
from urllib.parse import parse_qs, parse_qsl, unquote_plus, urlsplit

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

CLIENT_ID = "our-client"
# RFC 6749 §2.3.1 wants it encoded as in a form, before it becomes a part of HTTP Basic.
CLIENT_SECRET = "s3cret:+/%&=~?"
SUBJECT = "248289761001"
EMAIL = "ada@example.com"
MINUTES = 60
# Real providers offer the last two as well. RFC 9864 gives EdDSA with Ed25519 a name of its own.
ALGORITHMS = ["RS256", "ES256", "PS256", "EdDSA", "Ed25519", "HS256", "none"]
# Where a key lies that is none of the provider's. Nobody may ask for it.
FOREIGN = "foreign"

Changes = Mapping[str, Any]
# What an endpoint answers instead: it writes to the connection as it likes.
Behave = Callable[["Handler"], None]


@dataclass(frozen=True)
class Lie:
    """What is different, and with which status we must refuse it (``None``: it is no lie).

    In changes a value of ``None`` takes the member away.
    """

    name: str
    status: int | None = 502
    discovery: Changes = field(default_factory=dict)
    claims: Changes = field(default_factory=dict)
    header: Changes = field(default_factory=dict)
    # Makes the whole ID token from its header and its claims.
    sign: "Callable[[Changes, Any], str] | None" = None
    keys: "Callable[[], Any] | None" = None
    token: Changes = field(default_factory=dict)
    userinfo: Changes = field(default_factory=dict)
    # What the browser brings back.
    callback: Changes = field(default_factory=dict)
    # Path of an endpoint, and how it behaves instead.
    behaves: Mapping[str, Behave] = field(default_factory=dict)
    # Path of an endpoint, and as what it labels its answer.
    types: Mapping[str, str] = field(default_factory=dict)
    # The ID token says nothing but who it is, so the rest must be asked for.
    is_terse: bool = False


def changed(truth: Changes, changes: Changes) -> dict[str, Any]:
    return {name: value for name, value in {**truth, **changes}.items() if value is not None}


# Keys and signatures


@cache
def rsa_key(bits: int = 2048) -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(65537, bits)


@cache
def ec_key() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


@cache
def foreign_key() -> ec.EllipticCurvePrivateKey:
    """A key that the provider does not publish."""
    return ec.generate_private_key(ec.SECP256R1())


@cache
def ed_key() -> ed25519.Ed25519PrivateKey:
    return ed25519.Ed25519PrivateKey.generate()


def to_text(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def number(value: int) -> str:
    return to_text(value.to_bytes((value.bit_length() + 7) // 8))


def rsa_jwk(key: rsa.RSAPrivateKey, **beside: str) -> dict[str, str]:
    public = key.public_key().public_numbers()
    return {"kty": "RSA", "n": number(public.n), "e": number(public.e), **beside}


def ec_jwk(key: ec.EllipticCurvePrivateKey, **beside: str) -> dict[str, str]:
    public = key.public_key().public_numbers()
    x, y = (to_text(part.to_bytes(32)) for part in (public.x, public.y))
    return {"kty": "EC", "crv": "P-256", "x": x, "y": y, **beside}


def published() -> dict[str, Any]:
    raw = serialization.Encoding.Raw, serialization.PublicFormat.Raw
    return {
        "keys": [
            rsa_jwk(rsa_key(), kid="rsa", use="sig"),
            ec_jwk(ec_key(), kid="ec", use="sig", alg="ES256"),
            {
                "kty": "OKP",
                "crv": "Ed25519",
                "kid": "ed",
                "use": "sig",
                "x": to_text(ed_key().public_key().public_bytes(*raw)),
            },
            {"kty": "XYZ", "kid": "of the future"},
        ]
    }


def signature(algorithm: str, data: bytes, key: Any) -> bytes:
    if algorithm == "RS256":
        signed: bytes = key.sign(data, padding.PKCS1v15(), hashes.SHA256())
        return signed
    if algorithm == "PS256":
        pss = padding.PSS(padding.MGF1(hashes.SHA256()), 32)
        return bytes(key.sign(data, pss, hashes.SHA256()))
    if algorithm == "ES256":
        numbers = decode_dss_signature(key.sign(data, ec.ECDSA(hashes.SHA256())))
        return b"".join(part.to_bytes(32) for part in numbers)
    if algorithm in ("EdDSA", "Ed25519"):
        return bytes(key.sign(data))
    if algorithm == "HS256":
        return hmac.digest(key, data, "sha256")
    return b""


def jws(header: Any, payload: Any, algorithm: str, key: Any) -> str:
    """A token whose signature is made in one way, whatever its header says."""
    parts = (json.dumps(part).encode() for part in (header, payload))
    signed = ".".join(to_text(part) for part in parts)
    return f"{signed}.{to_text(signature(algorithm, signed.encode(), key))}"


# The server


@dataclass
class Code:
    issuer: str
    nonce: str
    challenge: str
    redirect_uri: str


class Provider:
    def __init__(self, url: str, lies: list[Lie]) -> None:
        self.url = url
        self.lies = {lie.name: lie for lie in lies}
        self.codes: dict[str, Code] = {}
        # The paths that were called.
        self.calls: list[str] = []
        # What went wrong here, and is a mistake of the test or of the application.
        self.faults: list[BaseException] = []
        self.ended = threading.Event()

    def issuer(self, name: str) -> str:
        return f"{self.url}/{name}"

    def environment(self, **beside: str) -> dict[str, str]:
        """The variables of an application that knows each issuer as a provider."""
        found = {"OUTBOUND_ALLOW": "127.0.0.0/8", "OIDC_PROVIDERS": ",".join(self.lies)}
        for name in self.lies:
            found |= {
                f"OIDC_{name.upper()}_ISSUER": self.issuer(name),
                f"OIDC_{name.upper()}_CLIENT_ID": CLIENT_ID,
                f"OIDC_{name.upper()}_CLIENT_SECRET": CLIENT_SECRET,
            }
        return found | beside

    def authorize(self, url: str) -> dict[str, str]:
        """Let somebody agree at the address that a browser was sent to.

        Returns what the browser brings back to us.
        """
        parts = urlsplit(url)
        asked = dict(parse_qsl(parts.query, strict_parsing=True))
        name = parts.path.split("/")[1]
        assert parts.path == f"/{name}/authorize", url
        assert asked["response_type"] == "code"
        assert asked["client_id"] == CLIENT_ID
        assert "openid" in asked["scope"].split()
        assert asked["code_challenge_method"] == "S256"
        assert min(len(asked["state"]), len(asked["nonce"])) >= 22, "128 random bits"
        code = token_urlsafe()
        self.codes[code] = Code(
            name, asked["nonce"], asked["code_challenge"], asked["redirect_uri"]
        )
        brought = {"code": code, "state": asked["state"], "iss": self.issuer(name)}
        return changed(brought, self.lies[name].callback)

    # What the endpoints answer

    def discovery(self, lie: Lie) -> dict[str, Any]:
        issuer = self.issuer(lie.name)
        truth = {
            "issuer": issuer,
            "authorization_endpoint": f"{issuer}/authorize",
            "token_endpoint": f"{issuer}/token",
            "userinfo_endpoint": f"{issuer}/userinfo",
            "jwks_uri": f"{issuer}/jwks",
            "response_types_supported": ["code"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": ALGORITHMS,
            "authorization_response_iss_parameter_supported": True,
            "of the future": {"a": [1]},
        }
        return changed(truth, lie.discovery)

    def redeem(self, lie: Lie, form: Mapping[str, str], authorization: str) -> dict[str, Any]:
        """The answer of the token endpoint. Raises ``KeyError`` for a code that is no good."""
        code = self.codes.pop(form["code"])
        digest = hashlib.sha256(form["code_verifier"].encode("ascii")).digest()
        if (
            (code.issuer, code.redirect_uri) != (lie.name, form["redirect_uri"])
            or to_text(digest) != code.challenge
            or form["grant_type"] != "authorization_code"
            or _client(form, authorization) != (CLIENT_ID, CLIENT_SECRET)
        ):
            raise KeyError("code")
        truth = {
            "access_token": f"at {lie.name}",
            "token_type": "Bearer",
            "expires_in": 300,
            "id_token": self.id_token(lie, code.nonce),
        }
        return changed(truth, lie.token)

    def id_token(self, lie: Lie, nonce: str, audience: str = CLIENT_ID) -> str:
        now = int(time.time())
        truth = {
            "iss": self.issuer(lie.name),
            "aud": audience,
            "sub": SUBJECT,
            "iat": now,
            "exp": now + 5 * MINUTES,
            "nonce": nonce,
        }
        person = {} if lie.is_terse else self.person()
        claims = changed(truth | person, lie.claims)
        header = changed({"alg": "RS256", "kid": "rsa", "typ": "JWT"}, lie.header)
        if "jku" in header:
            header["jku"] = f"{self.issuer(lie.name)}/{FOREIGN}"
        if lie.sign:
            return lie.sign(header, claims)
        keys = {"ES256": ec_key(), "EdDSA": ed_key(), "Ed25519": ed_key()}
        return jws(header, claims, header["alg"], keys.get(header["alg"], rsa_key()))

    def person(self) -> dict[str, Any]:
        return {"email": EMAIL, "email_verified": True, "name": "Ada Lovelace"}


def _client(form: Mapping[str, str], authorization: str) -> tuple[str, str]:
    if authorization.startswith("Basic "):
        pair = base64.b64decode(authorization[6:]).decode()
        name, _, secret = pair.partition(":")
        return unquote_plus(name), unquote_plus(secret)
    return form.get("client_id", ""), form.get("client_secret", "")


class Handler(BaseHTTPRequestHandler):
    provider: Provider
    kind: str

    def log_message(self, *_: Any) -> None:
        pass

    def do_GET(self) -> None:
        _, name, endpoint = urlsplit(self.path).path.split("/", 2)
        lie = self.provider.lies[name]
        self.provider.calls.append(f"{name}/{endpoint}")
        self.kind = lie.types.get(endpoint, "application/json")
        if endpoint in lie.behaves:
            lie.behaves[endpoint](self)
        elif endpoint == ".well-known/openid-configuration":
            self.answer(self.provider.discovery(lie))
        elif endpoint == "jwks":
            self.answer(lie.keys() if lie.keys else published())
        elif endpoint == "token":
            self._answer_token(lie)
        elif endpoint == "userinfo":
            assert self.headers["Authorization"] == f"Bearer at {name}"
            truth = {"sub": SUBJECT, **self.provider.person()}
            self.answer(changed(truth, lie.userinfo))
        else:
            assert endpoint == FOREIGN, self.path
            self.answer({"keys": [ec_jwk(foreign_key(), kid="theirs")]})

    do_POST = do_GET  # noqa: N815

    def _answer_token(self, lie: Lie) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"])).decode("ascii")
        form = {name: value for name, [value] in parse_qs(body, strict_parsing=True).items()}
        try:
            answer = self.provider.redeem(lie, form, self.headers.get("Authorization", ""))
        except KeyError:
            self.answer({"error": "invalid_grant"}, 400)
        else:
            self.answer(answer)

    def answer(self, body: Any, status: int = 200, *, kind: str = "", **headers: str) -> None:
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(status)
        kind = kind or self.kind
        for name, value in {"Content-Type": kind, "Content-Length": str(len(data))}.items():
            self.send_header(name, value)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(data)


@contextmanager
def lying(lies: list[Lie], *, certificate: Path | None = None) -> Iterator[Provider]:
    """The provider, until the block ends. With a certificate it speaks TLS."""

    class Handling(Handler):
        pass

    with Server(("127.0.0.1", 0), Handling) as server:
        scheme = "https" if certificate else "http"
        url = f"{scheme}://127.0.0.1:{server.server_port}"
        server.provider = Handling.provider = Provider(url, lies)
        if certificate:
            tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            tls.load_cert_chain(certificate)
            server.socket = tls.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield Handling.provider
        finally:
            Handling.provider.ended.set()
            server.shutdown()
            thread.join()
    assert Handling.provider.faults == []


class Server(ThreadingHTTPServer):
    daemon_threads = True
    provider: Provider

    def handle_error(self, request: Any, client_address: Any) -> None:
        error = sys.exception()
        # Somebody may hang up before a lie is told to its end.
        if error and not isinstance(error, OSError):
            self.provider.faults.append(error)


# Behaviours


def says(body: bytes, status: int = 200, kind: str = "application/json", **headers: str) -> Behave:
    return lambda handler: handler.answer(body, status, kind=kind, **headers)


def never_ends(handler: Handler) -> None:
    """Send more than anybody should read, and then 100 MiB more."""
    handler.send_response(200)
    handler.send_header("Content-Type", "application/json")
    handler.end_headers()
    for _ in range(1600):
        handler.wfile.write(b" " * 65536)


def drips(handler: Handler) -> None:
    """Send one byte after the other."""
    handler.send_response(200)
    handler.send_header("Content-Type", "application/json")
    handler.end_headers()
    while not handler.provider.ended.wait(0.02):
        handler.wfile.write(b" ")


def hangs_up(handler: Handler) -> None:
    handler.connection.shutdown(socket.SHUT_RDWR)
