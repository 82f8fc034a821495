"""A mail on its way."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import ForeignKey, Index, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from app.database.types import BigId, UTCDateTime
from app.extensions import Base
from app.models.user import User


class OutboxMessage(Base):
    """Written in the transaction whose change it tells of, and delivered outside it.

    ``message`` names the function in ``app/mail/messages.py`` that words it;
    ``sealed`` is what it is given, encrypted since links are in it, and gone
    once the mail is. ``due_at`` moves on with every attempt, first to the end
    of the lease of the deliverer that claims it. ``lease`` names that claim:
    what comes of an attempt is written only while it stands here.
    """

    __tablename__ = "outbox_messages"
    # A message must never be taken for another one that had its number before.
    __table_args__ = ({"sqlite_autoincrement": True},)

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    message_id: Mapped[str] = mapped_column(String(100), unique=True)
    user_id: Mapped[int | None] = mapped_column(ForeignKey(User.id, ondelete="CASCADE"), index=True)
    recipient: Mapped[str] = mapped_column(String(254))
    message: Mapped[str] = mapped_column(String(40))
    locale: Mapped[str] = mapped_column(String(8))
    sealed: Mapped[str | None] = mapped_column(Text)
    created_at: Mapped[datetime] = mapped_column(UTCDateTime)
    due_at: Mapped[datetime] = mapped_column(UTCDateTime)
    attempts: Mapped[int] = mapped_column(default=0, server_default="0")
    lease: Mapped[UUID | None]
    delivered_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    set_aside_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    last_error: Mapped[str | None] = mapped_column(String(500))

    @property
    def state(self) -> str:
        if self.delivered_at:
            return "delivered"
        return "set aside" if self.set_aside_at else "waiting"


WAITING = OutboxMessage.delivered_at.is_(None) & OutboxMessage.set_aside_at.is_(None)

# What the deliverers look for again and again stays small, however many were delivered.
Index(
    "ix_outbox_messages_waiting",
    OutboxMessage.due_at,
    postgresql_where=WAITING,
    sqlite_where=WAITING,
)
Index("ix_outbox_messages_created_at", OutboxMessage.created_at)
# How many mails of a kind one recipient got lately is asked before the next one is queued.
Index("ix_outbox_messages_recipient_created_at", OutboxMessage.recipient, OutboxMessage.created_at)
