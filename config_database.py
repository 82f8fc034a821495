"""``DATABASE_URL`` and ``DATABASE_REPLICA_URL``: read to the end, or refused with a sentence.

A sentence never repeats the value, nor a part of it that may be the password's.
"""

import re

from psycopg.pq import Conninfo, ConnStatus, PGconn
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError

from config_hosts import Wrong

EXAMPLE = "Write postgresql://user:password@host:5432/name or sqlite:////absolute/path.db."
ESCAPES = "In a user name or password, write @ as %40, : as %3A, / as %2F, ? as %3F and % as %25."

POSTGRESQL = ("postgresql", "postgres", "postgresql+psycopg")

# With it, the server takes none of our statements.
NOT_OURS = ("replication",)
# These may be several.
HOSTS = ("host", "port", "hostaddr")
NUMBERS = (
    "connect_timeout",
    "keepalives",
    "keepalives_idle",
    "keepalives_interval",
    "keepalives_count",
    "tcp_user_timeout",
)
HOST = re.compile(r"[A-Za-z0-9._-]+|[0-9A-Fa-f:.]+(%[A-Za-z0-9]+)?")
# Where no server listens, libpq ends after it has read its options and before it asks the network.
NOWHERE = "/nowhere"


def database_url(text: str) -> URL:
    try:
        url = make_url(text)
    except (ArgumentError, ValueError):
        raise Wrong(f"cannot be read as a URL. {EXAMPLE} {ESCAPES}") from None
    if url.drivername in POSTGRESQL:
        # A question mark in a password begins the options where the password has an @ before it.
        if "@" in text.partition("?")[2]:
            raise Wrong(f"has an @ after a question mark. {ESCAPES}")
        return _postgresql(_with_all_in_its_place(url))
    if url.drivername == "sqlite":
        return _sqlite(url)
    raise Wrong(f"begins with {url.drivername!r}, which is not spoken here. {EXAMPLE}")


def replica_url(text: str) -> URL | None:
    url = database_url(text) if text else None
    if url is not None and url.get_backend_name() != "postgresql":
        raise Wrong(
            "is not PostgreSQL, and nothing else has replicas here. "
            "Write postgresql://user:password@host:5432/name."
        )
    return url


def _sqlite(url: URL) -> URL:
    if url.host or url.username or url.port:
        raise Wrong(f"names a host, and SQLite has none: its path follows three slashes. {EXAMPLE}")
    if not url.database or url.database == ":memory:" or url.database.startswith("file:"):
        raise Wrong(
            "keeps SQLite in memory, where each connection would see a database of its "
            f"own. {EXAMPLE}"
        )
    if url.query:
        raise Wrong(f"has options after the question mark, and SQLite takes none here. {EXAMPLE}")
    return url


def _postgresql(url: URL) -> URL:
    _refuse_torn(url)
    if not url.database:
        raise Wrong(f"names no database. {EXAMPLE}")
    if url.port is not None and not 1 <= url.port <= 65535:
        raise Wrong(f"has a port that is none. {EXAMPLE}")
    _refuse_options(url)
    return url.set(drivername="postgresql+psycopg")


def _with_all_in_its_place(url: URL) -> URL:
    """The password where nothing that prints the URL shows it, although an option gave it."""
    places = {"user": "username", "password": "password", "dbname": "database"}
    for option, place in places.items():
        value = url.query.get(option)
        if isinstance(value, str):
            url = url.difference_update_query([option]).set(**{place: value})  # type: ignore[arg-type]
    return url


def _refuse_torn(url: URL) -> None:
    """A password with an @ in it ends there, and the rest of it is taken for the host.

    It would then stand in each message about a host that cannot be found.
    """
    if (url.host and not HOST.fullmatch(url.host)) or "@" in (url.database or ""):
        raise Wrong(
            "has a host or a name of a database that cannot be one: a character of the password "
            f"may end it early. {ESCAPES}"
        )


def _refuse_options(url: URL) -> None:
    known = {option.keyword.decode() for option in Conninfo.get_defaults()} - set(NOT_OURS)
    unknown = sorted(set(url.query) - known)
    if unknown:
        raise Wrong(
            f"has the option {unknown[0]!r}, which PostgreSQL's client library does not know. "
            "Remove it, or write one of its own, like ?sslmode=verify-full."
        )
    for name, value in url.query.items():
        if not isinstance(value, str) and name not in HOSTS:
            raise Wrong(f"has the option {name!r} twice. Write it once.")
        if name in NUMBERS and not re.fullmatch(r"-?[0-9]{1,9}", str(value)):
            raise Wrong(f"has the option {name!r} with what is no number. Write a whole number.")
    encoding = str(url.query.get("client_encoding", "utf8"))
    if re.sub(r"[^a-z0-9]", "", encoding.lower()) not in ("utf8", "unicode"):
        raise Wrong("has a client_encoding other than utf8, which cannot hold every name.")
    _refuse_values(url)


def _refuse_values(url: URL) -> None:
    """Let libpq read the values; it asks no network for a host that is a folder."""
    tried = {
        name: value
        for name, value in url.query.items()
        if isinstance(value, str) and name not in HOSTS
    }
    conninfo = " ".join(f"{name}='{_quoted(value)}'" for name, value in tried.items())
    connection = PGconn.connect_start(f"host={NOWHERE} {conninfo}".encode())
    reason = connection.get_error_message().partition("\n")[0]
    is_read = connection.status != ConnStatus.BAD or NOWHERE in reason
    connection.finish()
    if not is_read:
        wrong = next((name for name in tried if name in reason), None)
        named = f"the option {wrong!r}" if wrong else "an option"
        raise Wrong(
            f"has {named} with a value that PostgreSQL's client library does not take. "
            "https://www.postgresql.org/docs/current/libpq-connect.html has the values."
        )


def _quoted(value: str) -> str:
    return value.replace("\\", "\\\\").replace("'", "\\'")
