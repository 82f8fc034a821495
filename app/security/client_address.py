"""Where a request comes from."""

import unicodedata
from collections.abc import Iterable, Sequence
from functools import lru_cache, partial
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Any, NamedTuple

from flask import Flask, has_request_context, request
from werkzeug.wsgi import ClosingIterator

from app.security import sightings
from config import Network, Settings

MAX_USER_AGENT_LENGTH = 300

# By what proxies tell whom they speak for. The first alone is ever read.
FORWARDING_HEADERS = {
    "HTTP_X_FORWARDED_FOR": "X-Forwarded-For",
    "HTTP_FORWARDED": "Forwarded",
    "HTTP_X_REAL_IP": "X-Real-IP",
}

Address = IPv4Address | IPv6Address


class Client(NamedTuple):
    """The device that asks, as far as it can be known."""

    ip: str | None
    user_agent: str | None


def current_client() -> Client:
    """Its address, and what it calls itself. Outside a request (commands) nothing is known."""
    if not has_request_context():
        return Client(None, None)
    claimed = request.headers.get("User-Agent", "")
    printable = "".join(c for c in claimed if unicodedata.category(c) not in ("Cc", "Cf"))
    return Client(request.remote_addr or None, printable[:MAX_USER_AGENT_LENGTH] or None)


def current_network() -> str:
    """What the limits take for one client."""
    return network(request.remote_addr if has_request_context() else None)


@lru_cache(4096)
def network(ip: str | None) -> str:
    """An IPv4 address itself; the /64 of an IPv6 address, since one household has all of it."""
    address = _parsed(ip or "")
    if address is None:
        return "unknown"
    if isinstance(address, IPv4Address):
        return str(address)
    return f"{IPv6Address(int(address) >> 64 << 64)}/64"


def init_app(app: Flask, settings: Settings) -> None:
    """Let everything behind, the access log included, see the client's address as the peer's."""
    app.wsgi_app = _AddressReader(app, settings.trusted_proxies)  # type: ignore[method-assign]


class _AddressReader:
    """Replaces a trusted proxy's address by the one it speaks for, in ``REMOTE_ADDR``.

    Anybody can send the headers that claim another address, so they are
    nothing but noted when they come from anybody else.
    """

    def __init__(self, app: Flask, trusted: Sequence[Network]) -> None:
        self.app = app
        self.behind = app.wsgi_app
        self.trusted = trusted

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        peer = environ.get("REMOTE_ADDR") or ""
        address = _parsed(peer)
        if address is None:
            # A UNIX socket has no address; whatever else it is is nobody's to believe.
            return self.behind(environ, start_response)
        if self.trusted and _is_in(address, self.trusted):
            forwarded = environ.get("HTTP_X_FORWARDED_FOR", "")
            environ["REMOTE_ADDR"] = str(client_behind(address, forwarded, self.trusted))
            return self.behind(environ, start_response)

        if ":" in peer:
            environ["REMOTE_ADDR"] = str(address)
        answer = self.behind(environ, start_response)
        if any(name in environ for name in FORWARDING_HEADERS) and sightings.is_news(
            self.app, sightings.Kind.UNTRUSTED_FORWARDING
        ):
            # Once the answer is out: nobody waits for the note to be written.
            names = [FORWARDING_HEADERS[name] for name in FORWARDING_HEADERS if name in environ]
            tell = partial(self._tell, f"{', '.join(names)} from {address}")
            return ClosingIterator(answer, tell)
        return answer

    def _tell(self, detail: str) -> None:
        with self.app.app_context():
            sightings.record(sightings.Kind.UNTRUSTED_FORWARDING, detail)


def client_behind(peer: Address, forwarded: str, trusted: Sequence[Network]) -> Address:
    """Who speaks through a trusted peer, by its ``X-Forwarded-For``.

    Each proxy writes the address that it saw at the right end, so the list is
    read from there: past those that are trusted too, up to the first that is
    not. What is left of that is whatever the client made up, and what is no
    address ends the walk.
    """
    client = peer
    for claimed in reversed(forwarded.split(",")):
        hop = _parsed(claimed.strip())
        if hop is None:
            break
        client = hop
        if not _is_in(hop, trusted):
            break
    return client


@lru_cache(4096)
def _parsed(text: str) -> Address | None:
    """Without its zone, and an IPv4 address in IPv6's clothes as IPv4's."""
    try:
        address = ip_address(text.partition("%")[0])
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address


def _is_in(address: Address, networks: Sequence[Network]) -> bool:
    return any(address in network for network in networks)
