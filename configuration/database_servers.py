"""The servers in a ``DATABASE_URL``: one, several, or the folder of a UNIX socket.

libpq and SQLAlchemy write several servers differently. This module reads both
forms and turns them into one that both understand.
"""

import re
from ipaddress import ip_address
from typing import NamedTuple
from urllib.parse import unquote

from sqlalchemy.engine import URL

from configuration.refusals import Wrong

EXAMPLE = "Write postgresql://user:password@host:5432/name or sqlite:////absolute/path.db."
ESCAPES = "In a user name or password, write @ as %40, : as %3A, / as %2F, ? as %3F and % as %25."
PLACES = (
    "Write several servers as ?host=h1&host=h2 or ?host=h1,h2&port=5432,5433, "
    "and the folder of a UNIX socket as ?host=/var/run/postgresql."
)

# A URL may have several values of each of these options.
HOSTS = ("host", "port", "hostaddr")

# The groups are the part before the servers, the servers, and the rest. As in SQLAlchemy, a
# password may hold a slash, but not an @.
AUTHORITY = re.compile(r"([a-z+]+://(?:[^:/@?]*(?::[^@]*)?@)?)([^/?@]*)(.*)", re.DOTALL)
HOST = re.compile(r"[A-Za-z0-9._-]+|[0-9A-Fa-f:.]+(%[A-Za-z0-9]+)?")
WITH_PORT = re.compile(r"(\[[^]]*\]|[^:]*)(?::(.*))?")


class Server(NamedTuple):
    """One of the servers in a URL, as text; the port is empty if it is not given."""

    host: str
    port: str


def database_hosts(url: URL) -> list[str]:
    """The hosts, or folders of UNIX sockets, that a URL of ours leads to."""
    named = str(url.query.get("host") or url.host or url.query.get("hostaddr") or "localhost")
    return named.split(",")


def before_the_path(text: str) -> tuple[list[Server], str]:
    """The servers before the path that SQLAlchemy cannot read, and the URL without them.

    Only libpq reads several servers there, or the folder of a UNIX socket with
    escaped slashes.
    """
    found = AUTHORITY.fullmatch(text)
    if found is None or not ("," in found[2] or found[2].lower().startswith("%2f")):
        return [], text
    return [_server(part) for part in found[2].split(",")], found[1] + found[3]


def _server(text: str) -> Server:
    found = WITH_PORT.fullmatch(text)
    if found is None:
        raise wrong_host()
    host = unquote(found[1])
    if host.startswith("["):
        host = host[1:-1]
    return Server(host, found[2] or "")


def wrong_host() -> Wrong:
    return Wrong(
        "has a host or a database name with a character that cannot be in one. Perhaps the "
        f"password has a character that must be escaped. {ESCAPES} {PLACES}"
    )


def in_the_query(url: URL, servers: list[Server]) -> URL:
    """The servers in the form that SQLAlchemy and libpq understand: ?host=h1,h2&port=5432,5433."""
    hosts, ports = _listed(url, "host"), _listed(url, "port")
    if hosts:
        servers = [Server(part, "") if _is_address(part) else _server(part) for part in hosts]
    for server in servers:
        _refuse_server(server)
    for port in filter(None, ports):
        refuse_port(port)
    if any(server.port for server in servers):
        if ports:
            raise Wrong(f"has ports after the hosts and in the option 'port' too. {PLACES}")
        ports = [server.port for server in servers]
    elif servers and url.port and not ports:
        ports = [str(url.port)]
    if servers and len(ports) == 1:
        ports *= len(servers)
    if servers and ports and len(ports) != len(servers):
        raise Wrong(f"does not have one port for each host. {PLACES}")
    addresses = _listed(url, "hostaddr")
    _refuse_addresses(addresses, len(servers) or (1 if url.host else 0))
    found = {
        "host": [server.host for server in servers],
        "port": ports,
        "hostaddr": addresses,
    }
    lists = {name: ",".join(values) for name, values in found.items() if values}
    return url.difference_update_query(HOSTS).update_query_dict(lists)


def _listed(url: URL, option: str) -> list[str]:
    """The values of an option, which may be given several times, or once with commas."""
    value = url.query.get(option, ())
    if isinstance(value, str):
        return value.split(",")
    return [part for one in value for part in one.split(",")]


def _is_address(text: str) -> bool:
    try:
        ip_address(text.partition("%")[0])
    except ValueError:
        return False
    return True


def _refuse_server(server: Server) -> None:
    if not server.host.startswith("/") and not HOST.fullmatch(server.host):
        raise wrong_host()
    if server.port:
        refuse_port(server.port)


def refuse_port(text: str) -> None:
    if not re.fullmatch(r"[0-9]{1,5}", text) or not 1 <= int(text) <= 65535:
        raise Wrong(f"has a port that is not a number from 1 to 65535. {EXAMPLE}")


def _refuse_addresses(addresses: list[str], hosts: int) -> None:
    if not all(_is_address(address) for address in addresses):
        raise Wrong(
            "has the option 'hostaddr' with a value that is not an IP address. "
            "Write one like 10.0.0.7."
        )
    if addresses and hosts and len(addresses) != hosts:
        raise Wrong(
            "does not have one address in 'hostaddr' for each host. "
            "Write as many addresses as hosts."
        )
