"""Turns a row into a candidate: an account with an address and usernames. Or it refuses the row."""

import hashlib
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from marshmallow import ValidationError

from app.moving import sources
from app.moving.rows import Row, UnfitRow
from app.moving.schemas import AccountSchema, OperatorAccountSchema
from app.security import identifiers
from app.security.passwords import hashing

# An account can do without these fields, if their values are not valid here.
DISPENSABLE = {"full_name", "bio", "avatar_url", "locale", "created_at"}
USERNAME_UNFIT = re.compile(r"[^a-z0-9._-]+")

Translate = Callable[[dict[str, Any]], dict[str, Any]]


@dataclass(frozen=True)
class Rules:
    """Which accounts the operator accepts, and how."""

    # The system that the rows come from.
    system: str = "native"
    allow_reserved: bool = False
    allow_superusers: bool = False
    # Derive a username if the given one is taken or not valid here.
    derive_usernames: bool = False
    assume_verified: bool = False
    # Leave fields out that the account can do without, instead of refusing the row.
    leave_out: bool = True


@dataclass
class Outcome:
    """The result of a row: ``created``, ``skipped`` or ``refused``, and why."""

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
class Candidate:
    """A row that may become an account.

    ``given`` is its own username, or ``None`` if it has no valid one.
    ``usernames`` are those that it may get, the best first.
    """

    account: dict[str, Any]
    given: str | None
    usernames: list[str]
    outcome: Outcome
    # It tells which account this is in the other system.
    identity: str


def candidate_of(row: Row, outcome: Outcome, translate: Translate, rules: Rules) -> Candidate:
    """Raises ``UnfitRow``."""
    if isinstance(row.content, UnfitRow):
        raise row.content
    values = translate(row.content)
    outcome.source_id = values.pop("id", None)
    identity = sources.identity(outcome.source_id, row.content)
    if rules.assume_verified:
        values["email_verified"] = True
    account = _load(values, outcome, rules)
    if account.get("is_superuser") and not rules.allow_superusers:
        raise UnfitRow("superuser", "has all rights; --allow-superusers accepts it")
    stored = account.get("hashed_password")
    if stored is not None and (objection := hashing.objection(stored)):
        raise UnfitRow(objection, "has a password hash that no login could verify")

    given = account.pop("username", None)
    usernames = [given] if given else []
    if given is None or rules.derive_usernames:
        usernames += derived_usernames(account["email"])
    return Candidate(account, given, usernames, outcome, identity)


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
    """Names made of the address, the best first. The same address always gives the same names."""
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
