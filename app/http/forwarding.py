"""The address of the client of a request that comes through proxies."""

import re
import socket
from collections.abc import Iterable, Sequence
from functools import partial
from typing import Any

from blinker import Namespace
from flask import Flask
from werkzeug.wsgi import ClosingIterator

from app.http.addresses import Address, parse
from config import Settings
from configuration.hosts import UNIX, Network

# The application sends this signal after an answer if the forwarding headers of the request were
# of no use. ``from_proxy`` says whether a trusted proxy sent them. ``detail`` names the headers
# and the sender.
forwarding_ignored = Namespace().signal("forwarding-ignored")

# The headers in which proxies name the client. Only the first is ever read: a proxy that writes
# one of them passes the others on, and the client may have made those up.
FORWARDING_HEADERS = {
    "HTTP_X_FORWARDED_FOR": "X-Forwarded-For",
    "HTTP_FORWARDED": "Forwarded",
    "HTTP_X_REAL_IP": "X-Real-IP",
}

# An address with a port, or an IPv6 address in brackets, as proxies write them.
WITH_PORT = re.compile(r"\[([^]]+)\](?::[0-9]{1,5})?|([0-9.]+):[0-9]{1,5}")
# nginx's word for a client that came through a UNIX socket.
UNIX_HOP = "unix:"
# No chain of proxies is longer. The rest of a longer list is not read.
MOST_HOPS = 32
LONGEST_ADDRESS = 100

Trusted = Sequence[Network | str]


def init_app(app: Flask, settings: Settings) -> None:
    """Give all other code, the access log included, the client's address as the peer's."""
    app.wsgi_app = _AddressReader(  # type: ignore[method-assign]
        app, settings.trusted_proxies, settings.trusted_proxy_count
    )


class _AddressReader:
    """Replaces a trusted proxy's address in ``REMOTE_ADDR`` by its client's address.

    Anybody can send headers that claim another address. The headers of an
    untrusted peer are ignored, and the operator gets a warning about them.
    """

    def __init__(self, app: Flask, trusted: Trusted, count: int) -> None:
        self.app = app
        self.behind = app.wsgi_app
        self.trusted = trusted
        self.count = count

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        peer = _peer(environ)
        client = peer
        is_trusted = bool(self.count) or _is_trusted(peer, self.trusted)
        forwarded = environ.get("HTTP_X_FORWARDED_FOR", "")
        if is_trusted:
            client = client_behind(peer, forwarded, self.trusted, self.count)
        environ["REMOTE_ADDR"] = str(client or "")

        answer = self.behind(environ, start_response)
        if is_trusted and _names_a_peer(forwarded):
            return answer
        return self._noted(environ, answer, peer, is_trusted)

    def _noted(
        self,
        environ: dict[str, Any],
        answer: Iterable[bytes],
        peer: Address | None,
        is_trusted: bool,
    ) -> Iterable[bytes]:
        """Return the answer. After it, note forwarding headers that were of no use."""
        names = [FORWARDING_HEADERS[name] for name in FORWARDING_HEADERS if environ.get(name)]
        if not names:
            return answer
        detail = f"{', '.join(names)} from {peer or 'a UNIX socket'}"
        # After the answer, so that the client does not wait for the note.
        return ClosingIterator(answer, partial(self._announce, is_trusted, detail))

    def _announce(self, from_proxy: bool, detail: str) -> None:
        forwarding_ignored.send(self.app, from_proxy=from_proxy, detail=detail)


def client_behind(
    peer: Address | None, forwarded: str, trusted: Trusted, count: int = 0
) -> Address | None:
    """The client of a trusted peer, by its ``X-Forwarded-For``.

    Each proxy adds the address that it saw at the right end, so the list is
    read from the right, up to the first address that is not trusted. If only
    the number of proxies is known, that many entries are read. The client may
    have made up the entries further to the left. An entry that is not an
    address ends the search.
    """
    client = peer
    for number, part in enumerate(_parts(forwarded), 1):
        hop = _hop(part)
        if hop is None and part != UNIX_HOP:
            break
        client = hop or client
        if number == count or not (count or _is_trusted(hop, trusted)):
            break
    return client


def _names_a_peer(forwarded: str) -> bool:
    """Whether the last entry of the list, which our own proxy wrote, can be read.

    It may be the proxy's own address, for example in a health check.
    """
    last = next(iter(_parts(forwarded)), "")
    return last == UNIX_HOP or _hop(last) is not None


def _parts(forwarded: str) -> list[str]:
    """The entries, the last one first. Empty ones mean nothing (RFC 9110 §5.6.1.2)."""
    parts = [part for part in map(str.strip, forwarded.rsplit(",", MOST_HOPS)) if part]
    return parts[::-1]


def _peer(environ: dict[str, Any]) -> Address | None:
    """The address of the peer. It is None if the peer came through a UNIX socket.

    On a UNIX socket the peer chooses its name, which may look like an address.
    """
    connection = environ.get("gunicorn.socket")
    if connection is not None and connection.family == socket.AF_UNIX:
        return None
    return parse((environ.get("REMOTE_ADDR") or "")[:LONGEST_ADDRESS])


def _hop(text: str) -> Address | None:
    """An address as proxies write it: a port may follow, and IPv6 may be in brackets."""
    if len(text) > LONGEST_ADDRESS:
        return None
    found = WITH_PORT.fullmatch(text)
    return parse((found[1] or found[2]) if found else text)


def _is_trusted(address: Address | None, trusted: Trusted) -> bool:
    """Whether it is one of the proxies. None stands for the peer on a UNIX socket."""
    if address is None:
        return UNIX in trusted
    return any(not isinstance(one, str) and address in one for one in trusted)
