"""Taking accounts in, many at a time, beside everything else that goes on.

What is asked of an account at registration is asked here as well, by the same
fields. Nobody is written to. A row that cannot be taken is told in the report
and stops nothing.
"""

import hashlib
import re
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from marshmallow import ValidationError
from sqlalchemy import or_, select, text
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import DataError, IntegrityError, OperationalError

from app import audit, clock
from app.extensions import db
from app.models import User
from app.models.audit_event import Event
from app.moving.files import Row, UnfitRow
from app.moving.schemas import AccountSchema, OperatorAccountSchema
from app.security import identifiers, passwords

# How many rows a transaction takes: few enough that whoever registers meanwhile hardly waits.
BATCH = 500
# A registration and a batch may wait for each other, each holding what the other wants. The
# batch gives way, before PostgreSQL would choose (after a second) and perhaps not choose it.
LOCK_TIMEOUT = "300ms"
LOCK_LOST = ("55P03", "40P01")
MOST_TRIES = 10

# What an account can do without, should it be of no use here.
DISPENSABLE = {"full_name", "bio", "avatar_url", "locale", "created_at"}
USERNAME_UNFIT = re.compile(r"[^a-z0-9._-]+")

Translate = Callable[[dict[str, Any]], dict[str, Any]]


@dataclass(frozen=True)
class Rules:
    """What the operator lets in, and how."""

    allow_reserved: bool = False
    allow_superusers: bool = False
    # Take a derived username where the given one is taken or not acceptable here.
    derive_usernames: bool = False
    assume_verified: bool = False
    # Whether what an account can do without is left out rather than the row refused.
    leave_out: bool = True


@dataclass
class Outcome:
    """What became of a row: ``created``, ``skipped`` or ``refused``, and why."""

    line: int
    outcome: str = ""
    reason: str | None = None
    id: int | None = None
    source_id: Any = None
    details: dict[str, Any] = field(default_factory=dict)

    def be(self, outcome: str, reason: str | None = None, **details: Any) -> None:
        self.outcome, self.reason = outcome, reason
        self.details |= details


@dataclass
class _Candidate:
    """A row that may become an account.

    ``given`` is its own username, ``None`` where it has none that will do;
    ``usernames`` are those it may get, the best first.
    """

    account: dict[str, Any]
    given: str | None
    usernames: list[str]
    outcome: Outcome


def take_in(
    rows: Iterable[Row], translate: Translate, rules: Rules, *, dry_run: bool = False
) -> Iterator[list[Outcome]]:
    """Make accounts of the rows, and tell what became of them, a batch at a time.

    Each batch is committed before it is told. With ``dry_run`` nothing is:
    all goes into one transaction, which the caller's end rolls back.
    """
    remaining = iter(rows)
    if dry_run:
        _begin()
    while batch := list(islice(remaining, BATCH)):
        candidates, outcomes = [], []
        for row in batch:
            outcome = Outcome(row.line)
            outcomes.append(outcome)
            try:
                candidates.append(_candidate(row, outcome, translate, rules))
            except UnfitRow as reason:
                outcome.be("refused", reason.code, detail=str(reason))
        if not dry_run:
            _begin()
        _settle_in_spite_of_locks(candidates, rules)
        if not dry_run:
            _record(candidates)
            db.session.commit()
        yield outcomes
    if dry_run:
        db.session.rollback()


def _record(candidates: list[_Candidate]) -> None:
    """One event a batch: an import is an operator's act, and who came by it says the report."""
    created = [one for one in candidates if one.outcome.outcome == "created"]
    if created:
        superusers = sum(bool(one.account.get("is_superuser")) for one in created)
        audit.record(
            Event.USERS_IMPORTED, subject_id=None, accounts=len(created), superusers=superusers
        )


# One row


def _candidate(row: Row, outcome: Outcome, translate: Translate, rules: Rules) -> _Candidate:
    """Raises ``UnfitRow``."""
    if isinstance(row.content, UnfitRow):
        raise row.content
    values = translate(row.content)
    outcome.source_id = values.pop("id", None)
    if rules.assume_verified:
        values["email_verified"] = True
    account = _load(values, outcome, rules)
    if account.get("is_superuser") and not rules.allow_superusers:
        raise UnfitRow("superuser", "has all rights; --allow-superusers lets it in")
    stored = account.get("hashed_password")
    if stored is not None and (objection := passwords.objection(stored)):
        raise UnfitRow(objection, "has a password that no login could be checked against")

    given = account.pop("username", None)
    usernames = [given] if given else []
    if given is None or rules.derive_usernames:
        usernames += derived_usernames(account["email"])
    return _Candidate(account, given, usernames, outcome)


def _load(values: dict[str, Any], outcome: Outcome, rules: Rules) -> dict[str, Any]:
    """The account, perhaps without username. Raises ``UnfitRow``."""
    schema = OperatorAccountSchema() if rules.allow_reserved else AccountSchema()
    values = {name: value for name, value in values.items() if value is not None}
    try:
        loaded: dict[str, Any] = schema.load(values, partial=("username",))
        return loaded
    except ValidationError as error:
        messages = error.normalized_messages()  # type: ignore[no-untyped-call]
    wrong = {name: getattr(found[0], "code", "invalid") for name, found in messages.items()}
    dispensable = set(DISPENSABLE) if rules.leave_out else set()
    if rules.derive_usernames:
        dispensable.add("username")
    if wrong.keys() - dispensable:
        outcome.details["fields"] = wrong
        raise UnfitRow("invalid", "has fields that are not acceptable")
    if left_out := sorted(wrong.keys() - {"username"}):
        outcome.details["left_out"] = left_out
    kept = {name: value for name, value in values.items() if name not in wrong}
    account: dict[str, Any] = schema.load(kept, partial=("username",))
    return account


def derived_usernames(email: str) -> list[str]:
    """Names made of the address, the best first; the same again whenever they are asked for."""
    local = email.partition("@")[0].partition("+")[0]
    base = USERNAME_UNFIT.sub("-", local).strip("._-") or "user"
    mark = hashlib.sha256(email.encode()).hexdigest()
    longest = identifiers.MAX_USERNAME_LENGTH
    names = [base] + [f"{base[: longest - size - 1]}-{mark[:size]}" for size in (6, 12, 24)]
    fit = []
    for name in names:
        try:
            canonical = identifiers.canonical_username(name)
        except identifiers.InvalidUsername:
            continue
        if not identifiers.is_reserved(canonical):
            fit.append(canonical)
    return fit


# A batch


def _begin() -> None:
    connection = db.session.connection()
    if connection.dialect.name == "sqlite":
        # It reads first and writes then, and others may write in between.
        connection.exec_driver_sql("BEGIN IMMEDIATE")


def _settle_in_spite_of_locks(candidates: list[_Candidate], rules: Rules) -> None:
    for tries in range(1, MOST_TRIES + 1):
        try:
            with db.session.begin_nested():
                if db.engine.dialect.name == "postgresql":
                    db.session.execute(text(f"SET LOCAL lock_timeout = '{LOCK_TIMEOUT}'"))
                _settle(candidates, rules)
                return
        except OperationalError as error:
            if getattr(error.orig, "sqlstate", None) not in LOCK_LOST or tries == MOST_TRIES:
                raise
        for candidate in candidates:
            candidate.outcome.be("")
        time.sleep(0.05 * tries)


def _settle(candidates: list[_Candidate], rules: Rules) -> None:
    """Insert those whose address and name are free, and tell what became of each.

    Who is there is looked up for the many, but it is the unique constraints
    that decide: a row that they passed over goes round once more.
    """
    waiting = candidates
    for _ in range(MOST_TRIES):
        ready, undecided = _choose(waiting, rules)
        ids = _insert(ready)
        for candidate in ready:
            email = candidate.account["email"]
            if email in ids:
                _note_created(candidate, ids[email])
            elif not candidate.outcome.outcome:
                undecided.append(candidate)
        waiting = undecided
    for candidate in waiting:
        candidate.outcome.be("refused", "refused_by_database")


def _choose(waiting: list[_Candidate], rules: Rules) -> tuple[list[_Candidate], list[_Candidate]]:
    """Those to insert now, with their username; and those to look at again after that."""
    by_email, by_key = _who_is_there(waiting)
    ready: list[_Candidate] = []
    undecided: list[_Candidate] = []
    emails: set[str] = set()
    for candidate in waiting:
        email = candidate.account["email"]
        if email in emails:
            undecided.append(candidate)
            continue
        if email in by_email:
            _note_there(candidate, *by_email[email], rules)
            continue
        free = (
            name for name in candidate.usernames if identifiers.username_key(name) not in by_key
        )
        username = next(free, None)
        if username is None:
            candidate.outcome.be("refused", "username_taken")
            continue
        emails.add(email)
        key = identifiers.username_key(username)
        by_key.add(key)
        candidate.account |= {"username": username, "username_key": key}
        ready.append(candidate)
    return ready, undecided


def _who_is_there(
    waiting: list[_Candidate],
) -> tuple[dict[str, tuple[int, str]], set[str]]:
    """Address → id and username key of those who have it; and the username keys that are taken."""
    emails = {candidate.account["email"] for candidate in waiting}
    keys = {identifiers.username_key(name) for candidate in waiting for name in candidate.usernames}
    found = db.session.execute(
        select(User.id, User.email, User.username_key).where(
            or_(User.email.in_(emails), User.username_key.in_(keys))
        )
    ).all()
    return {email: (number, key) for number, email, key in found}, {key for *_, key in found}


def _note_there(candidate: _Candidate, number: int, key: str, rules: Rules) -> None:
    may_be_renamed = candidate.given is None or rules.derive_usernames
    if may_be_renamed or identifiers.username_key(candidate.given or "") == key:
        candidate.outcome.be("skipped", "already_there")
        candidate.outcome.id = number
    else:
        candidate.outcome.be("refused", "email_taken")


def _note_created(candidate: _Candidate, number: int) -> None:
    candidate.outcome.be("created")
    candidate.outcome.id = number
    if candidate.account["username"] != candidate.given:
        candidate.outcome.details["username"] = candidate.account["username"]


def _insert(ready: list[_Candidate]) -> dict[str, int]:
    """Address → id of those that were inserted; the constraints pass over the others."""
    if not ready:
        return {}
    rows = [_columns(candidate.account) for candidate in ready]
    try:
        with db.session.begin_nested():
            return _insert_rows(rows)
    except (IntegrityError, DataError):
        # Some rule of the database that is not ours; one row must not take the others along.
        return _insert_one_by_one(ready, rows)


def _insert_rows(rows: list[dict[str, Any]]) -> dict[str, int]:
    dialect = postgresql if db.engine.dialect.name == "postgresql" else sqlite
    users = User.__table__
    statement = dialect.insert(users).on_conflict_do_nothing()
    inserted = db.session.connection().execute(statement.returning(users.c.email, users.c.id), rows)
    return {row.email: row.id for row in inserted}


def _insert_one_by_one(ready: list[_Candidate], rows: list[dict[str, Any]]) -> dict[str, int]:
    ids: dict[str, int] = {}
    for candidate, row in zip(ready, rows, strict=True):
        try:
            with db.session.begin_nested():
                ids |= _insert_rows([row])
        except (IntegrityError, DataError) as error:
            reason = str(error.orig).partition("\n")[0]
            candidate.outcome.be("refused", "refused_by_database", detail=reason)
    return ids


def _columns(account: dict[str, Any]) -> dict[str, Any]:
    return {
        "email": account["email"],
        "username": account["username"],
        "username_key": account["username_key"],
        "hashed_password": account.get("hashed_password"),
        "full_name": account.get("full_name"),
        "bio": account.get("bio"),
        "avatar_url": account.get("avatar_url"),
        "is_active": account.get("is_active", True),
        "is_superuser": account.get("is_superuser", False),
        "email_verified": account.get("email_verified", False),
        "locale": account.get("locale", "en"),
        "created_at": account.get("created_at") or clock.now(),
        "updated_at": account.get("updated_at"),
        "deletion_due_at": account.get("deletion_due_at"),
    }
