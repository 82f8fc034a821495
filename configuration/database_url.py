"""Check every part of ``DATABASE_URL`` and ``DATABASE_REPLICA_URL``.

A message never repeats the value, nor a part of it that may belong to the password.
"""

import re
import unicodedata
from pathlib import Path
from urllib.parse import parse_qsl, unquote

from psycopg.pq import Conninfo, ConnStatus, PGconn
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError

from configuration import database_servers
from configuration.database_servers import ESCAPES, EXAMPLE, HOST, HOSTS, PLACES, Server
from configuration.refusals import Wrong

LIBPQ = "https://www.postgresql.org/docs/current/libpq-connect.html lists the values."

POSTGRESQL = ("postgresql", "postgres", "postgresql+psycopg")

# With this option, the server accepts none of our statements.
NOT_OURS = ("replication",)
NUMBERS = (
    "connect_timeout",
    "keepalives",
    "keepalives_idle",
    "keepalives_interval",
    "keepalives_count",
    "tcp_user_timeout",
)
GSS_MODES = ("disable", "prefer", "require")

# No server listens in this folder. libpq reads its options, then fails without using the network.
NOWHERE = "/nowhere"


def database_url(text: str) -> URL:
    _refuse_unreadable(text)
    servers, one = database_servers.before_the_path(text)
    try:
        url = make_url(one)
    except (ArgumentError, ValueError):
        raise Wrong(f"cannot be read as a URL. {EXAMPLE} {ESCAPES}") from None
    if url.drivername in POSTGRESQL:
        # If a password has an @ and later a ?, SQLAlchemy ends the password at the @ and takes what
        # follows the ? for options.
        if "@" in text.partition("?")[2]:
            raise Wrong(f"has an @ after a question mark. {ESCAPES}")
        _refuse_unknown_options(one)
        return _postgresql(_with_all_in_its_place(url), servers)
    if url.drivername == "sqlite":
        return _sqlite(url)
    raise Wrong(f"begins with {url.drivername!r}, which is not supported. {EXAMPLE}")


def replica_url(text: str) -> URL | None:
    url = database_url(text) if text else None
    if url is not None and url.get_backend_name() != "postgresql":
        raise Wrong(
            "is not PostgreSQL, and only PostgreSQL has replicas. "
            "Write postgresql://user:password@host:5432/name."
        )
    return url


def _refuse_unreadable(text: str) -> None:
    try:
        plain = unquote(text, errors="strict")
    except UnicodeDecodeError:
        raise Wrong(
            f"has a %xx escape that is not UTF-8. Write a percent sign as %25. {EXAMPLE}"
        ) from None
    if any(unicodedata.category(character) == "Cc" for character in plain):
        raise Wrong(f"has a control character, perhaps as a %xx escape. Remove it. {EXAMPLE}")


def _sqlite(url: URL) -> URL:
    if url.host or url.username or url.port:
        raise Wrong(
            "names a host, but SQLite is a file. Its path follows three slashes. " + EXAMPLE
        )
    if not url.database or url.database == ":memory:" or url.database.startswith("file:"):
        raise Wrong(
            f"keeps SQLite in memory, where each connection would have its own database. {EXAMPLE}"
        )
    if url.query:
        raise Wrong(f"has options after the question mark, and SQLite takes none here. {EXAMPLE}")
    return url


def _postgresql(url: URL, servers: list[Server]) -> URL:
    if "@" in (url.database or "") or (url.host and not HOST.fullmatch(url.host)):
        # SQLAlchemy ends a password at an @ and takes the rest of it for the host. Each message
        # about a host that cannot be found would then show that rest.
        raise database_servers.wrong_host()
    if not url.database:
        raise Wrong(f"names no database. {EXAMPLE}")
    if url.port is not None:
        database_servers.refuse_port(str(url.port))
    url = database_servers.in_the_query(url, servers)
    _refuse_options(url)
    url = url.set(drivername="postgresql+psycopg")
    try:
        url.get_dialect()().create_connect_args(url)
    except (ArgumentError, ValueError):
        raise Wrong(f"has servers that cannot be read. {PLACES}") from None
    return url


def _with_all_in_its_place(url: URL) -> URL:
    """Move the user, the password and the database from the options to their places in the URL.

    SQLAlchemy hides a password when it prints the URL, but not one in an option.
    """
    places = {"user": "username", "password": "password", "dbname": "database"}
    for option, place in places.items():
        value = url.query.get(option)
        if isinstance(value, str):
            url = url.difference_update_query([option]).set(**{place: value})  # type: ignore[arg-type]
    return url


def _refuse_unknown_options(text: str) -> None:
    known = {option.keyword.decode() for option in Conninfo.get_defaults()} - set(NOT_OURS)
    # SQLAlchemy drops options without a value.
    given = parse_qsl(text.partition("?")[2], keep_blank_values=True)
    unknown = sorted({name for name, _ in given} - known)
    if unknown:
        raise Wrong(
            f"has the option {unknown[0]!r}, which PostgreSQL's client library does not know. "
            "Remove it, or use one of the library's options, like ?sslmode=verify-full."
        )


def _refuse_options(url: URL) -> None:
    for name, value in url.query.items():
        if not isinstance(value, str):
            raise Wrong(f"has the option {name!r} twice. Write it once.")
        if name in NUMBERS and not re.fullmatch(r"-?[0-9]{1,9}", value):
            raise Wrong(
                f"has the option {name!r} with a value that is not a number. Write a whole number."
            )
    encoding = str(url.query.get("client_encoding", "utf8"))
    if re.sub(r"[^a-z0-9]", "", encoding.lower()) not in ("utf8", "unicode"):
        raise Wrong(
            "has a client_encoding other than utf8, which cannot hold every name. "
            "Remove the option, or write client_encoding=utf8."
        )
    if url.query.get("gssencmode", "prefer") not in GSS_MODES:
        raise Wrong(
            "has the option 'gssencmode' with a value that we do not support. "
            f"Write one of {', '.join(GSS_MODES)}."
        )
    _refuse_values(url)


def _refuse_values(url: URL) -> None:
    """Let libpq check the values. It does not use the network if the host is a folder."""
    tried = {
        name: str(value) for name, value in url.query.items() if name not in (*HOSTS, "gssencmode")
    }
    reason = _reason_against(tried)
    if reason is None:
        return
    if of_the_environment := _reason_against({}):
        variables = {each.keyword.decode(): each.envvar for each in Conninfo.get_defaults()}
        found = (variables[name] for name in variables if name in of_the_environment)
        variable = (next(found, None) or b"a variable named PG...").decode()
        raise Wrong(
            f"cannot be used: the environment has {variable} with a value that PostgreSQL's client "
            f"library does not accept. Correct or remove that variable. {LIBPQ}"
        )
    wrong = next((name for name in tried if name in reason), None)
    named = f"the option {wrong!r}" if wrong else "an option"
    raise Wrong(
        f"has {named} with a value that PostgreSQL's client library does not accept. "
        f"Correct or remove it. {LIBPQ}"
    )


def _reason_against(options: dict[str, str]) -> str | None:
    """Why libpq does not accept these options; ``None`` if it does.

    GSSAPI is off here, even if PGGSSENCMODE asks for it, because it does not
    work over a socket. PGHOSTADDR is overridden, because libpq would use the
    network for it.
    """
    tried = {"host": NOWHERE, "hostaddr": "", "gssencmode": "disable"} | options
    conninfo = " ".join(f"{name}='{_quoted(value)}'" for name, value in tried.items())
    connection = PGconn.connect_start(conninfo.encode())
    reason = connection.get_error_message().partition("\n")[0]
    is_read = connection.status != ConnStatus.BAD or NOWHERE in reason
    connection.finish()
    return None if is_read else reason


def _quoted(value: str) -> str:
    return value.replace("\\", "\\\\").replace("'", "\\'")


def in_folder(url: URL, instance: Path) -> URL:
    """A relative path of SQLite begins in the instance folder."""
    if url.get_backend_name() == "sqlite":
        return url.set(database=str(instance / str(url.database)))
    return url
