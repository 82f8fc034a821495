"""Read the hosts, origins and networks in settings, and compare them with those of a request.

Hosts are compared as RFC 9110 §4.2.3 asks, and origins as RFC 6454 §5 asks. A
comparison of letters is not enough: ``API.example.com.:443`` and
``api.example.com`` are the same host.
"""

import re
from ipaddress import AddressValueError, IPv4Network, IPv6Address, IPv6Network, ip_network
from urllib.parse import urlsplit

import idna

from configuration.refusals import Wrong

Network = IPv4Network | IPv6Network

# The peer on a UNIX socket, which has no address.
UNIX = "unix"

# The names of this machine itself. Browsers treat them like https.
LOOPBACK = ("localhost", "127.0.0.1", "::1")
HTTP_PORTS = {"http": 80, "https": 443}
# The shortest prefix that a network of proxies may have, for each version of IP.
BROADEST = {4: 8, 6: 16}
UNIQUE_LOCAL = IPv6Network("fc00::/7")
MAPPED = IPv6Network("::ffff:0:0/96")

AUTHORITY = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(?::([0-9]{0,5}))?")
SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*")
ORIGIN = re.compile(rf"({SCHEME.pattern})://([^/?#@\\]+)")
# The name of a header (RFC 9110 §5.1).
HEADER = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")


# Comparing hosts and origins


def host_of(text: str) -> tuple[str, int | None] | None:
    """The name and the port of a ``Host`` header in normal form; ``None`` if it is not one."""
    found = AUTHORITY.fullmatch(text)
    if found is None:
        return None
    name, port = found.groups()
    if port and not 1 <= int(port) <= 65535:
        return None
    normal = _literal(name) if name.startswith("[") else _name(name)
    return (normal, int(port) if port else None) if normal else None


def origin_of(text: str) -> tuple[str, str, int | None] | None:
    """The scheme, the host and the port of an origin; ``None`` if it is not one.

    Applications have origins too, like ``capacitor://localhost``. ``null`` is
    not an origin: many different pages send it.
    """
    found = ORIGIN.fullmatch(text)
    host = host_of(found[2]) if found else None
    if found is None or host is None:
        return None
    scheme = found[1].lower()
    name, port = host
    return scheme, name, None if port == HTTP_PORTS.get(scheme) else port


def is_secure(url: str) -> bool:
    """Whether browsers offer at this URL what they keep for secure pages, like passkeys."""
    found = urlsplit(url)
    return found.scheme == "https" or found.hostname in LOOPBACK


def _name(text: str) -> str | None:
    name = text.removesuffix(".").lower()
    return name if all(name.split(".")) else None


def _literal(text: str) -> str | None:
    try:
        return f"[{IPv6Address(text[1:-1]).compressed}]"
    except AddressValueError:
        return None


def is_among(host: str, trusted: list[str]) -> bool:
    """Whether a ``Host`` header names one of the hosts, on whichever port."""
    found = host_of(host)
    if found is None:
        return False
    name = found[0]
    return any(
        name == one or (one.startswith(".") and (name.endswith(one) or name == one[1:]))
        for one in trusted
    )


# Reading settings


def host(text: str) -> str:
    """A host name in normal form. ``.name`` means that name and all names below it."""
    example = (
        "Write names without scheme or port, separated by commas, like "
        "api.example.com,.example.org."
    )
    dot = "." if text.startswith(".") else ""
    name = _ascii(text.removeprefix("."))
    if ":" in name and not name.startswith("[") and name.count(":") > 1:
        name = f"[{name}]"
    found = host_of(name)
    # The usual ports are accepted, because a client that names no port means them.
    if found is None or found[1] not in (None, *HTTP_PORTS.values()):
        raise Wrong(f"holds {text!r}, which is not a host name. {example}")
    return dot + found[0]


def origin(text: str) -> str:
    """A scheme, a host and perhaps a port (RFC 6454), as browsers send it."""
    scheme, separator, authority = text.partition("://")
    found = origin_of(f"{scheme}://{_ascii(authority)}") if separator else None
    if found is None:
        raise Wrong(
            f"holds {text!r}, which is not an origin: {_flaw_of_origin(text)}. Write full origins, "
            "separated by commas, "
            "like https://app.example.com,http://localhost:3000,capacitor://localhost."
        )
    scheme, name, port = found
    return f"{scheme}://{name}" if port is None else f"{scheme}://{name}:{port}"


def _flaw_of_origin(text: str) -> str:
    scheme, separator, authority = text.partition("://")
    host = re.sub(r":[^:\]]*$", "", authority)
    flaws = {
        "it would allow the pages of every site": text == "*",
        "files, sandboxed frames and many other pages send it": text == "null",
        "it has no scheme, like https://": not separator,
        "pages that are opened from files send null": scheme.lower() == "file",
        "it has a wildcard, and each origin must be named": "*" in text,
        "it has a user name": "@" in authority,
        "it goes on after the host and the port": bool(re.search(r"[/?#\\]", authority)),
        "it has no host": not host,
        "its scheme has characters that no scheme has": not SCHEME.fullmatch(scheme),
        "its host is not a host name": host_of(_ascii(host)) is None,
    }
    # What is left is the port.
    return next((flaw for flaw, is_so in flaws.items() if is_so), "its port is not from 1 to 65535")


def header(text: str) -> str:
    if not HEADER.fullmatch(text) or text == "*":
        raise Wrong(
            f"holds {text!r}, which is not the name of a header. Write names, separated by "
            "commas, like X-Client-Version,X-Trace."
        )
    return text


def network(text: str) -> Network:
    """One address, or a range of them in CIDR notation."""
    example = (
        "Write addresses or ranges, separated by commas, like "
        "10.0.0.7,192.168.4.0/24, or unix for the peer on a UNIX socket."
    )
    return _network(text, "almost anybody could claim any address", example)


def called_network(text: str) -> Network:
    """A network whose servers may be called although they are not public."""
    example = "Write addresses or ranges, separated by commas, like 10.0.0.7,192.168.4.0/24."
    return _network(text, "almost any server could be called", example)


def _network(text: str, danger: str, example: str) -> Network:
    try:
        # Addresses are compared without their zone.
        found = ip_network(re.sub(r"%[^/]+", "", text))
    except ValueError:
        raise Wrong(
            f"holds {text!r}, which is not an address or a range of addresses. {example}"
        ) from None
    if isinstance(found, IPv6Network) and found.subnet_of(MAPPED):
        # An IPv4 address in IPv6 form is compared as IPv4.
        found = IPv4Network((int(found.network_address) & 0xFFFFFFFF, found.prefixlen - 96))
    # Refusing /0 alone is not enough: two networks of /1 are all addresses as well. All addresses
    # in fc00::/7 are private.
    is_private = isinstance(found, IPv6Network) and found.subnet_of(UNIQUE_LOCAL)
    if found.prefixlen < BROADEST[found.version] and not is_private:
        raise Wrong(
            f"holds {text!r}, which is so broad that {danger}. Write no range broader than "
            f"/8 (IPv4) or /16 (IPv6, except those in fc00::/7). {example}"
        )
    return found


def proxy(text: str) -> Network | str:
    """A network of proxies, or ``unix`` for the peer on a UNIX socket."""
    return UNIX if text == UNIX else network(text)


def _ascii(host: str) -> str:
    """An international name in its ASCII form (IDNA); anything else as it is."""
    if host.isascii():
        return host
    try:
        name, colon, port = host.partition(":")
        return idna.encode(name, uts46=True).decode() + colon + port
    except idna.IDNAError:
        return host
