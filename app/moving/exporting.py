"""Reads the accounts for an export, in the format that an import accepts."""

from collections.abc import Iterator
from typing import Any

from sqlalchemy import select

from app.extensions import db
from app.models import User
from app.moving.schemas import AccountSchema

CHUNK = 1000
COLUMNS = tuple(AccountSchema().fields)


def columns(*, with_password_hashes: bool) -> tuple[str, ...]:
    return tuple(name for name in COLUMNS if with_password_hashes or name != "hashed_password")


def accounts(*, with_password_hashes: bool) -> Iterator[dict[str, Any]]:
    """Yield all accounts as of one instant, the oldest first. Few are in memory at a time."""
    shape = AccountSchema(only=columns(with_password_hashes=with_password_hashes))
    found = select(*(getattr(User, name) for name in shape.fields)).order_by(User.id)
    for row in db.session.execute(found.execution_options(yield_per=CHUNK)):
        yield shape.dump(row._mapping)
