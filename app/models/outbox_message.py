"""A mail that waits in the outbox, or was sent from it."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import ForeignKey, Index, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from app.database.types import BigId, UTCDateTime
from app.extensions import Base
from app.models.user import User


class OutboxMessage(Base):
    """A mail. It is written in the transaction of the change that it reports, and sent later.

    ``message`` is the name of the function that writes the text, in
    ``app/mail/messages/`` or in a feature. ``sealed`` holds the arguments of
    that function. They are encrypted, because links are in them, and deleted
    once the mail is sent. Every attempt moves ``due_at``, first to the end of
    the lease of the deliverer that claims the mail. ``lease`` names that claim:
    the deliverer writes the result of its attempt only while its lease stands
    here.
    """

    __tablename__ = "outbox_messages"
    # A number is never used again, so that no mail is taken for an earlier one.
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

SET_ASIDE = OutboxMessage.set_aside_at.is_not(None)

# The deliverers search this index again and again. It stays small when many were delivered.
Index(
    "ix_outbox_messages_waiting",
    OutboxMessage.due_at,
    postgresql_where=WAITING,
    sqlite_where=WAITING,
)
# Few mails are set aside, and nobody who looks for them must read all that were delivered.
Index(
    "ix_outbox_messages_set_aside",
    OutboxMessage.id,
    postgresql_where=SET_ASIDE,
    sqlite_where=SET_ASIDE,
)
Index("ix_outbox_messages_created_at", OutboxMessage.created_at)
# Before a mail is queued, the code counts the latest mails of its kind to the recipient.
Index("ix_outbox_messages_recipient_created_at", OutboxMessage.recipient, OutboxMessage.created_at)
