"""A login that waits for its second step."""

from datetime import datetime

from sqlalchemy import ForeignKey, String
from sqlalchemy.orm import Mapped, mapped_column, relationship

from app.database.types import BigId, UTCDateTime
from app.extensions import Base
from app.models import User


class MfaTicket(Base):
    """What an ``mfa_token`` stands for: somebody gave a first proof, and a second one is due.

    Only the SHA-256 of the token is kept. ``account_mark`` is a digest of the
    account's password, address, status and factors at that moment: the ticket
    is dead as soon as one of them changes.
    """

    __tablename__ = "mfa_tickets"
    __table_args__ = ({"sqlite_autoincrement": True},)

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    user_id: Mapped[int] = mapped_column(ForeignKey(User.id, ondelete="CASCADE"), index=True)
    token_hash: Mapped[str] = mapped_column(String(64), unique=True)
    # How the first proof was given: its methods (RFC 8176), separated by spaces.
    amr: Mapped[str] = mapped_column(String(60))
    signed_in_by: Mapped[str] = mapped_column(String(30))
    account_mark: Mapped[str] = mapped_column(String(64))
    tries_left: Mapped[int]
    created_at: Mapped[datetime] = mapped_column(UTCDateTime)
    expires_at: Mapped[datetime] = mapped_column(UTCDateTime, index=True)
    used_at: Mapped[datetime | None] = mapped_column(UTCDateTime)

    user: Mapped[User] = relationship()
