"""API keys."""

from datetime import datetime
from uuid import UUID, uuid4

from sqlalchemy import ForeignKey, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from app.database.types import UTCDateTime
from app.extensions import Base
from app.models import User


class ApiKey(Base):
    """Only the SHA-256 of a key is kept, and the few characters that people recognize it by.

    After a rotation the key before it works until ``previous_expires_at``.
    ``rotated_at`` says when the present key was made. ``aal`` is the level of
    the session in which that was done: roles that require a second factor
    count only at level 2. ``previous_aal`` is that of the key before it.
    """

    __tablename__ = "api_keys"

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid4)
    user_id: Mapped[int] = mapped_column(ForeignKey(User.id, ondelete="CASCADE"), index=True)
    key_hash: Mapped[str] = mapped_column(String(64), unique=True)
    previous_hash: Mapped[str | None] = mapped_column(String(64), unique=True)
    previous_expires_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    previous_aal: Mapped[int | None]
    name: Mapped[str] = mapped_column(String(100))
    prefix: Mapped[str] = mapped_column(String(25))
    last4: Mapped[str] = mapped_column(String(4))
    # Both are separated by spaces. No networks mean any.
    scopes: Mapped[str] = mapped_column(Text)
    networks: Mapped[str] = mapped_column(Text)
    aal: Mapped[int]
    created_at: Mapped[datetime] = mapped_column(UTCDateTime)
    rotated_at: Mapped[datetime] = mapped_column(UTCDateTime)
    expires_at: Mapped[datetime] = mapped_column(UTCDateTime, index=True)
    # When the owner was told that the key ends soon.
    end_told_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    last_used_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    last_used_ip: Mapped[str | None] = mapped_column(String(45))

    @property
    def shown(self) -> str:
        """The key as people recognize it."""
        return f"{self.prefix}…{self.last4}"
