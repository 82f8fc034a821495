"""Decides whether a row of another system and an account here are the same person.

An address alone does not decide: two people of the other system may share one,
and somebody else may have registered with it here. A row and an account are
the same if the ids of the other system are equal, which the import stores, or
if both the address and the username are equal.
"""

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from sqlalchemy import select
from sqlalchemy.dialects import postgresql, sqlite

from app.extensions import db
from app.models import ImportedAccount
from app.moving.rows import UnfitRow

BY_ID, BY_ROW = "id:", "row:"


@dataclass(frozen=True)
class Holder:
    """The account that has an address."""

    id: int
    username_key: str
    # Its identity in the other system, if that is known.
    identity: str | None = None


def identity(source_id: Any, row: dict[str, Any]) -> str:
    """A digest of the row's id in the other system, or of the whole row. Raises ``UnfitRow``."""
    if source_id is not None and source_id != "":
        # In CSV the number 7 is a text.
        is_number = isinstance(source_id, int) and not isinstance(source_id, bool)
        return BY_ID + _digest(str(source_id) if is_number else source_id)
    return BY_ROW + _digest(row)


def is_same(identity: str, source_id: Any, username_key: str | None, holder: Holder) -> bool:
    """Whether the row and the account are the same person. Their addresses are equal."""
    has_the_name = username_key == holder.username_key
    if holder.identity == identity:
        return True
    if holder.identity and holder.identity.startswith(BY_ID) and identity.startswith(BY_ID):
        # They are two people of that system. Or it is our own export, which has our ids.
        return has_the_name and str(source_id) == str(holder.id)
    return has_the_name


def known(system: str, user_ids: Iterable[int]) -> dict[int, str]:
    """The identities of these accounts in the other system, as far as they are known."""
    found = select(ImportedAccount.user_id, ImportedAccount.identity).where(
        ImportedAccount.system == system, ImportedAccount.user_id.in_(list(user_ids))
    )
    return {row.user_id: row.identity for row in db.session.execute(found)}


def note(system: str, identities: dict[int, str]) -> None:
    """Store the identities of these accounts, unless they are known. The caller commits."""
    if not identities:
        return
    dialect = postgresql if db.engine.dialect.name == "postgresql" else sqlite
    statement = dialect.insert(ImportedAccount.__table__).on_conflict_do_nothing()
    rows = [
        {"user_id": user_id, "system": system, "identity": identity}
        for user_id, identity in identities.items()
    ]
    db.session.connection().execute(statement, rows)


def _digest(value: Any) -> str:
    try:
        text = json.dumps(value, sort_keys=True, default=str)
    except RecursionError:
        raise UnfitRow("malformed", "is nested too deeply") from None
    return hashlib.sha256(text.encode()).hexdigest()
