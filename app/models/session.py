"""One login, and the only refresh token it may still use."""

from datetime import datetime
from uuid import UUID, uuid4

from sqlalchemy import ForeignKey, String, func
from sqlalchemy.orm import Mapped, mapped_column, relationship

from app import clock
from app.extensions import Base
from app.models.types import UTCDateTime
from app.models.user import User


class Session(Base):
    """A signed-in device. Its tokens are good while it lives.

    ``refresh_jti`` names the only good refresh token, ``previous_jti`` the one
    before it, and ``refreshed_at`` when the one replaced the other.
    """

    __tablename__ = "sessions"

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid4)
    user_id: Mapped[int] = mapped_column(ForeignKey(User.id, ondelete="CASCADE"), index=True)
    refresh_jti: Mapped[UUID] = mapped_column(default=uuid4)
    previous_jti: Mapped[UUID | None]
    ip: Mapped[str | None] = mapped_column(String(45))
    user_agent: Mapped[str | None] = mapped_column(String(300))
    created_at: Mapped[datetime] = mapped_column(UTCDateTime, server_default=func.now())
    refreshed_at: Mapped[datetime] = mapped_column(UTCDateTime)
    # When it ends unless refreshed, and the latest that refreshing can put it off to.
    expires_at: Mapped[datetime] = mapped_column(UTCDateTime)
    max_expires_at: Mapped[datetime] = mapped_column(UTCDateTime, index=True)
    ended_at: Mapped[datetime | None] = mapped_column(UTCDateTime)

    user: Mapped[User] = relationship()

    @property
    def is_live(self) -> bool:
        return self.ended_at is None and clock.now() < self.expires_at
