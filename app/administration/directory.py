"""Finding accounts."""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from datetime import timedelta
from types import MappingProxyType
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Select,
    SQLColumnExpression,
    String,
    func,
    literal,
    literal_column,
    select,
    type_coerce,
)
from sqlalchemy.orm import joinedload

from app import clock
from app.access.live_session import is_live
from app.auth.sessions import sessions
from app.database import engines, pages
from app.database.pages import Key, Order, Page
from app.database.types import MAX_ID, UTCDateTime
from app.extensions import db
from app.models import Role, Session, User, UserRole
from app.security import identifiers, tokens

# It stands before each text that is searched. No text can contain it.
BREAK = "\n"

# PostgreSQL has an index of this expression: it must stay the same as in migration 0007.
SEARCHED: ColumnElement[str] = literal_column(
    f"lower('{BREAK}' || users.email || '{BREAK}' || users.username || '{BREAK}'"
    " || coalesce(users.full_name, ''))",
    String,
)
SORTS = ("id", "-id", "created_at", "-created_at", "email", "username")


def find(
    *, q: str | None = None, sort: str = "id", limit: int, cursor: str | None = None, **filters: Any
) -> Page[User]:
    """A page of the accounts that match every filter. Raises ``ValidationFailed``."""
    query = {"list": "users", "q": q, "sort": sort, **filters}
    return pages.page(_matching(q, filters), _order(sort), query, limit=limit, cursor=cursor)


def everybody(q: str | None = None, **filters: Any) -> Iterator[Sequence[User]]:
    """All accounts, or those that match every filter, the oldest first, in batches."""
    return pages.everything(_matching(q, filters), _order("id"))


def streamed(q: str | None = None, **filters: Any) -> Iterator[User]:
    """The same accounts one by one, for an answer that is written while they are read."""
    return engines.pages(User, *_conditions(q, filters))


def named(text: str) -> list[User]:
    """The account with this address, username or id.

    There are two if the text is the id of one account and the username of
    another. The one with the id is the first.
    """
    by_id = db.session.get(User, int(text)) if is_id(text) else None
    known_as = identifiers.identifier_of(username=text)
    column = User.email if known_as.kind == "email" else User.username_key
    by_name = db.session.scalar(select(User).where(column == known_as.value))
    found = [user for user in (by_id, by_name) if user is not None]
    return found[:1] if by_id is by_name else found


def live_sessions(limit: int) -> Sequence[Session]:
    """The sessions of everybody that are alive, the last used ones first, with their users."""
    living = select(Session).options(joinedload(Session.user)).where(is_live(clock.now()))
    return db.session.scalars(living.order_by(Session.refreshed_at.desc()).limit(limit)).all()


def by_ids(ids: Collection[int]) -> dict[int, User]:
    """The accounts that have these ids, and are not erased."""
    found = db.session.scalars(select(User).where(User.id.in_(ids))) if ids else ()
    return {user.id: user for user in found}


def statistics() -> dict[str, int]:
    """How many accounts there are of each kind, and sessions that are alive. Reads every row."""
    now = clock.now()
    kinds: dict[str, ColumnElement[bool]] = {
        "active": FILTERS["is_active"](True),
        "inactive": FILTERS["is_active"](False),
        "verified": FILTERS["email_verified"](True),
        "superusers": FILTERS["is_superuser"](True),
        "second_step": FILTERS["second_step"](True),
        "waiting_to_be_erased": User.deletion_due_at.is_not(None),
        "never_had_a_password": User.hashed_password.is_(None),
        "made_in_the_last_day": FILTERS["created_after"](now - timedelta(days=1)),
        "made_in_the_last_30_days": FILTERS["created_after"](now - timedelta(days=30)),
    }
    counts = [func.count().filter(kind).label(name) for name, kind in kinds.items()]
    counted = select(func.count().label("accounts"), *counts).select_from(User)
    row = db.session.execute(counted).one()
    return {**row._mapping, "sessions": sessions.count_live(begun_by=now + tokens.CLOCK_SKEW)}


def is_id(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= 19 and 1 <= int(text) <= MAX_ID


def _matching(q: str | None, filters: Mapping[str, Any]) -> Select[User]:
    return select(User).where(*_conditions(q, filters))


def _conditions(q: str | None, filters: Mapping[str, Any]) -> list[ColumnElement[bool]]:
    conditions = [FILTERS[name](value) for name, value in filters.items()]
    return [*conditions, _contains(q)] if q else conditions


def _contains(text: str) -> ColumnElement[bool]:
    """Whether email, username or full name contain the text literally, in upper or lower case.

    PostgreSQL's index is of trigrams. It does not help with a text that has
    no three letters or digits in a row: PostgreSQL then reads every account.
    """
    for special in "/%_":
        text = text.replace(special, f"/{special}")
    return SEARCHED.like(func.lower(literal(f"%{text}%")), escape="/")


def _flag(column: Any) -> Callable[[bool], ColumnElement[bool]]:
    # The indexes are of the condition itself, so this is not a comparison with true or false.
    return lambda wanted: column if wanted else ~column


def _holders_of(name: str) -> Select[int]:
    """Those who have the role of this name. Whoever asks must be allowed to see roles."""
    return select(UserRole.user_id).join(Role).where(Role.name == name)


FILTERS: Mapping[str, Callable[[Any], ColumnElement[bool]]] = MappingProxyType(
    {
        "is_active": _flag(User.is_active),
        "is_superuser": _flag(User.is_superuser),
        "email_verified": _flag(User.email_verified),
        "second_step": _flag(User.second_step_at.is_not(None)),
        "role": lambda name: User.id.in_(_holders_of(name)),
        "created_after": lambda instant: _created_at() >= instant,
        "created_before": lambda instant: _created_at() < instant,
    }
)


def _order(sort: str) -> Order:
    name = sort.removeprefix("-")
    return Order(KEYS[name](), descending=sort != name)


KEYS: Mapping[str, Callable[[], tuple[Key, ...]]] = MappingProxyType(
    {
        "id": lambda: (Key("id", User.id),),
        "created_at": lambda: (Key.instant("created_at", _created_at()), Key("id", User.id)),
        "email": lambda: (Key("email", _by_bytes(User.email)),),
        "username": lambda: (Key("username_key", _by_bytes(User.username_key)),),
    }
)


def _by_bytes(column: Any) -> ColumnElement[str]:
    """Sort by bytes, because only that order is the same on every machine."""
    by_bytes: ColumnElement[str] = column.collate("BINARY" if _on_sqlite() else "C")
    return by_bytes


def _created_at() -> SQLColumnExpression[Any]:
    """SQLite's own now() writes no fraction of a second, and such a text would sort too early."""
    if not _on_sqlite():
        return User.created_at
    as_text = type_coerce(User.created_at, String)
    return type_coerce(func.substr(as_text + ".000000", 1, 26), UTCDateTime)


def _on_sqlite() -> bool:
    return db.engine.dialect.name == "sqlite"
