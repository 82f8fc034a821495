"""One call to another server.

Whoever can choose an address, or answers under one, must not get further than
that: not into the inner network (SSRF), not into the memory of a worker, and
not into its time.
"""

import re
import ssl
from collections.abc import Mapping
from concurrent.futures import TimeoutError as LookUpTimedOut
from dataclasses import dataclass
from http.client import HTTPException, HTTPResponse
from types import MappingProxyType
from urllib.parse import SplitResult, urlsplit

from app.http import addresses as ip_addresses
from app.security.outbound import addresses
from app.security.outbound.connection import (
    Deadline,
    PinnedConnection,
    Place,
    TooMuch,
    look_up,
)
from config import settings

SECONDS_TO_CONNECT = 5.0
SECONDS_IN_ALL = 15.0
MAX_BYTES = 256 * 1024
# Besides the body: status line, headers, and the sizes of chunks.
MAX_OVERHEAD_BYTES = 64 * 1024

# Printable ASCII without what a browser and a library may read in different ways.
URL = re.compile(r"[!-~]{1,2048}")
AMBIGUOUS = re.compile(r"[\\\"<>^`{|}]")
PORTS = {"http": 80, "https": 443}
# These belong to the connection. A caller who could set them could smuggle a second request.
OURS = {"host", "connection", "content-length", "transfer-encoding", "accept-encoding"}
NO_HEADERS: Mapping[str, str] = MappingProxyType({})


class OutboundFailed(Exception):
    """The call was not made, or its answer cannot be used. ``reason`` tells programs why.

    The sentence names the server, for the log of an operator. Do not show it to
    people: it tells them what the inner network looks like.
    """

    def __init__(self, reason: str, sentence: str) -> None:
        self.reason = reason
        super().__init__(sentence)


@dataclass(frozen=True)
class Answer:
    """An answer that is not a redirect. The names of ``headers`` are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


def fetch(
    url: str,
    *,
    method: str = "GET",
    headers: Mapping[str, str] = NO_HEADERS,
    body: bytes | None = None,
    seconds: float = SECONDS_IN_ALL,
    max_bytes: int = MAX_BYTES,
) -> Answer:
    """Call another server, and return its answer, whatever the status. Raises ``OutboundFailed``.

    The URL must be https, and every address of its name must be public. A
    network in ``OUTBOUND_ALLOW`` is an exception to both. Redirects are not
    followed, because they lead to an address that nobody checked. Proxies in
    the environment are not used. A compressed answer is refused. Give your
    database connection back before: the call may take ``seconds``.
    """
    deadline = Deadline(seconds)
    connecting = Deadline(min(seconds, SECONDS_TO_CONNECT))
    target = _read(url)
    host, is_tls = str(target.hostname), target.scheme == "https"
    port = target.port or PORTS[target.scheme]
    own = OURS & {name.lower() for name in headers}
    if own:
        raise ValueError(f"{own} are set by the connection")

    try:
        places = look_up(host, port, connecting)
        _check(host, places, is_tls=is_tls)
        connection = PinnedConnection(
            host,
            port,
            places,
            is_tls=is_tls,
            connecting=connecting,
            deadline=deadline,
            max_received=max_bytes + MAX_OVERHEAD_BYTES,
        )
        try:
            connection.request(method, _path(target), body, {**headers, "Connection": "close"})
            return _read_answer(connection.getresponse(), host, max_bytes)
        finally:
            connection.hang_up()
    except (TimeoutError, LookUpTimedOut):
        raise OutboundFailed("too_slow", f"{host} did not answer in time") from None
    except TooMuch:
        raise OutboundFailed("too_big", f"{host} answered with too much") from None
    except ssl.SSLError as error:
        raise OutboundFailed("bad_certificate", f"TLS with {host} failed: {error}") from None
    except (OSError, UnicodeError) as error:
        raise OutboundFailed("unreachable", f"{host} cannot be reached: {error}") from None
    except HTTPException as error:
        name = type(error).__name__
        raise OutboundFailed("bad_answer", f"{host} did not answer in HTTP ({name})") from None


def _read(url: str) -> SplitResult:
    """The parts of the URL, if every library would read the same parts."""
    try:
        parts = urlsplit(url)
        usable = (
            URL.fullmatch(url)
            and not AMBIGUOUS.search(url)
            and parts.scheme in PORTS
            and parts.hostname
            and parts.port != 0
            and "@" not in parts.netloc
            and "#" not in url
        )
    except ValueError:
        usable = False
    if not usable:
        raise OutboundFailed("bad_url", "the URL is not a plain http or https URL in ASCII")
    return parts


def _path(target: SplitResult) -> str:
    return (target.path or "/") + (f"?{target.query}" if target.query else "")


def _check(host: str, places: list[Place], *, is_tls: bool) -> None:
    """Refuse the name if one of its addresses is refused, and not only if all of them are.

    Otherwise the one who answers for the name could add a public address to
    the inner one that is meant.
    """
    found = [ip_addresses.parse(str(place[0])) for _, place in places]
    for address in found:
        if address is None or not addresses.may_be_called(address, settings.outbound_allow):
            raise OutboundFailed("not_allowed", f"{host} has an address that is not public")
        if not is_tls and not addresses.is_in(address, settings.outbound_allow):
            raise OutboundFailed("not_allowed", f"{host} is called without TLS")
    if not found:
        raise OutboundFailed("unreachable", f"{host} has no address")


def _read_answer(response: HTTPResponse, host: str, max_bytes: int) -> Answer:
    if 300 <= response.status < 400:
        raise OutboundFailed("redirect", f"{host} answered with a redirect")
    if response.headers.get("Content-Encoding", "identity") != "identity":
        # A few compressed bytes may become gigabytes.
        raise OutboundFailed("bad_answer", f"{host} answered in an encoding that nobody asked for")
    body = response.read(max_bytes + 1)
    if len(body) > max_bytes:
        raise TooMuch
    if response.length:
        # The library does not notice that the connection ended before the body did.
        raise OutboundFailed("bad_answer", f"{host} ended in the middle of its answer")
    return Answer(
        response.status, {name.lower(): value for name, value in response.headers.items()}, body
    )
