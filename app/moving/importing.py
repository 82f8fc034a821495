"""Creates accounts from rows, many at a time, while the server runs.

An account must fulfil the same rules as at registration, by the same fields.
The import sends no mail. A row that cannot become an account is refused in the
report, and does not stop the import.
"""

import time
from collections.abc import Collection, Iterable, Iterator
from dataclasses import replace
from itertools import islice
from typing import Any

from sqlalchemy import or_, select, text
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import DataError, IntegrityError, OperationalError

from app import audit, clock
from app.audit.vocabulary import Event
from app.auth import taken
from app.database.rows import discard
from app.extensions import db
from app.models import OneTimeToken, User
from app.moving import sources
from app.moving.candidates import Candidate, Outcome, Rules, Translate, candidate_of
from app.moving.rows import Row, UnfitRow
from app.moving.sources import Holder
from app.security import identifiers

# How many rows a transaction has: so few that a registration at the same time hardly waits.
BATCH = 500
# A registration and a batch may wait for each other's locks (a deadlock). The batch gives way
# after this time. PostgreSQL would choose after a second, and perhaps end the registration.
LOCK_TIMEOUT = "300ms"
LOCK_LOST = ("55P03", "40P01")
MOST_TRIES = 10


def take_in(
    rows: Iterable[Row], translate: Translate, rules: Rules, *, dry_run: bool = False
) -> Iterator[list[Outcome]]:
    """Create accounts from the rows, and yield their outcomes, a batch at a time.

    Each batch is committed before its outcomes are yielded. With ``dry_run``
    nothing is committed: one transaction takes everything, and is rolled back
    in the end.
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
                candidates.append(candidate_of(row, outcome, translate, rules))
            except UnfitRow as reason:
                outcome.be("refused", reason.code, detail=str(reason))
        if not dry_run:
            _begin()
        _settle_with_retries(candidates, rules)
        if not dry_run:
            _record(candidates)
            db.session.commit()
        yield outcomes
    if dry_run:
        db.session.rollback()


def _record(candidates: list[Candidate]) -> None:
    """Record one event for a batch: an operator did it, and the report names the accounts."""
    created = [one for one in candidates if one.outcome.outcome == "created"]
    if created:
        superusers = sum(bool(one.account.get("is_superuser")) for one in created)
        audit.record(
            Event.USERS_IMPORTED, subject_id=None, accounts=len(created), superusers=superusers
        )


# A batch


def _begin() -> None:
    connection = db.session.connection()
    if connection.dialect.name == "sqlite":
        # A batch reads before it writes. Without this, others could write in between.
        connection.exec_driver_sql("BEGIN IMMEDIATE")


def _settle_with_retries(candidates: list[Candidate], rules: Rules) -> None:
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
            candidate.outcome.id = None
        time.sleep(0.05 * tries)


def _settle(candidates: list[Candidate], rules: Rules) -> None:
    """Insert the candidates whose address and name are free, and set the outcome of each.

    A query finds most of the taken ones, but the unique constraints decide: a
    row that they refused is tried once more.
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
    here = {one.outcome.id: one.identity for one in candidates if one.outcome.id is not None}
    sources.note(rules.system, here)


def _choose(waiting: list[Candidate], rules: Rules) -> tuple[list[Candidate], list[Candidate]]:
    """The candidates to insert now, with their username; and those to look at again after that."""
    by_email, by_key = _existing_holders(waiting, rules)
    left = _left({candidate.account["email"] for candidate in waiting})
    ready: list[Candidate] = []
    undecided: list[Candidate] = []
    emails: set[str] = set()
    for candidate in waiting:
        email = candidate.account["email"]
        if email in emails:
            undecided.append(candidate)
            continue
        if email in by_email:
            by_email[email] = _note_there(candidate, by_email[email])
            continue
        if email in left:
            # Its account may still return to it; see ``app/auth/taken.py``.
            candidate.outcome.be("refused", "email_taken")
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


def _existing_holders(waiting: list[Candidate], rules: Rules) -> tuple[dict[str, Holder], set[str]]:
    """Address → the account that has it; and the username keys that are taken."""
    emails = {candidate.account["email"] for candidate in waiting}
    keys = {identifiers.username_key(name) for candidate in waiting for name in candidate.usernames}
    found = db.session.execute(
        select(User.id, User.email, User.username_key).where(
            or_(User.email.in_(emails), User.username_key.in_(keys))
        )
    ).all()
    known = sources.known(rules.system, (row.id for row in found if row.email in emails))
    holders = {row.email: Holder(row.id, row.username_key, known.get(row.id)) for row in found}
    return holders, {row.username_key for row in found}


def _left(emails: Collection[str]) -> set[str]:
    """Those of the addresses that an account has given up, and may still return to."""
    to_them = OneTimeToken.email.in_(emails)
    left = select(OneTimeToken.email).where(taken.may_be_returned_to(), to_them)
    return {email for email in db.session.scalars(left) if email}


def _note_there(candidate: Candidate, holder: Holder) -> Holder:
    """Set the outcome for a taken address. Returns the account as the next row must see it."""
    key = identifiers.username_key(candidate.given) if candidate.given else None
    outcome = candidate.outcome
    if sources.is_same(candidate.identity, outcome.source_id, key, holder):
        outcome.be("skipped", "already_there")
        outcome.id = holder.id
        return replace(holder, identity=holder.identity or candidate.identity)
    outcome.be("refused", "email_taken")
    return holder


def _note_created(candidate: Candidate, number: int) -> None:
    candidate.outcome.be("created")
    candidate.outcome.id = number
    if candidate.account["username"] != candidate.given:
        candidate.outcome.details["username"] = candidate.account["username"]


def _insert(ready: list[Candidate]) -> dict[str, int]:
    """Insert accounts. Returns address → id; accounts that the constraints refused are missing."""
    if not ready:
        return {}
    rows = [_columns(candidate.account) for candidate in ready]
    try:
        with db.session.begin_nested():
            return _insert_rows(rows)
    except (IntegrityError, DataError):
        # A rule of the database refused a row that ours accept. The other rows must still go in.
        return _insert_one_by_one(ready, rows)


def _insert_rows(rows: list[dict[str, Any]]) -> dict[str, int]:
    dialect = postgresql if db.engine.dialect.name == "postgresql" else sqlite
    users = User.__table__
    statement = dialect.insert(users).on_conflict_do_nothing()
    inserted = db.session.connection().execute(statement.returning(users.c.email, users.c.id), rows)
    ids: dict[str, int] = {row.email: row.id for row in inserted}
    # The earlier look is not enough: an account may have given up an address since.
    if too_soon := _left(ids):
        db.session.execute(discard(User).where(User.email.in_(too_soon)))
    return {email: number for email, number in ids.items() if email not in too_soon}


def _insert_one_by_one(ready: list[Candidate], rows: list[dict[str, Any]]) -> dict[str, int]:
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
