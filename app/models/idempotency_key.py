"""Remembers calls with an ``Idempotency-Key``, so that a repeated one does nothing again."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import CHAR, String, Text, false
from sqlalchemy.orm import Mapped, mapped_column

from app.database.types import UTCDateTime
from app.extensions import Base


class IdempotencyKey(Base):
    """A key of one caller for one call.

    ``id`` and ``body`` are keyed digests. So the table shows neither the key
    nor the caller, and nobody can try passwords at the body of a registration.
    """

    __tablename__ = "idempotency_keys"

    id: Mapped[str] = mapped_column(CHAR(64), primary_key=True)
    body: Mapped[str] = mapped_column(CHAR(64))
    # The request that holds the key. One that was too slow finds another one here.
    attempt: Mapped[UUID]
    # Set while a request is in flight. If its server dies, another one may hold the key then.
    held_until: Mapped[datetime | None] = mapped_column(UTCDateTime)
    # Set in the transaction of the change itself.
    is_carried_out: Mapped[bool] = mapped_column(default=False, server_default=false())
    # The sealed answer, and the key that opens it. An answer with a secret is not stored.
    answer: Mapped[str | None] = mapped_column(Text)
    key_id: Mapped[str | None] = mapped_column(String(60))
    expires_at: Mapped[datetime] = mapped_column(UTCDateTime, index=True)
