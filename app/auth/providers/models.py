"""Linked accounts of providers, and sign-ins that are under way."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import ForeignKey, String, UniqueConstraint, false
from sqlalchemy.orm import Mapped, mapped_column

from app import clock
from app.database.types import BigId, UTCDateTime
from app.extensions import Base
from app.models import User


class Identity(Base):
    """An account at a provider, with which its owner can log in to the account here.

    The provider (``issuer``) and its identifier of the person (``subject``) are
    the identity. An address never is: it may be changed, or given to somebody
    else. ``label`` is the address or name that the provider told last.
    """

    __tablename__ = "identities"
    __table_args__ = (
        UniqueConstraint("issuer", "subject"),
        # The id of an identity that was removed is not given to the next one.
        {"sqlite_autoincrement": True},
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    user_id: Mapped[int] = mapped_column(ForeignKey(User.id, ondelete="CASCADE"), index=True)
    issuer: Mapped[str] = mapped_column(String(255))
    subject: Mapped[str] = mapped_column(String(255))
    provider: Mapped[str] = mapped_column(String(20))
    label: Mapped[str] = mapped_column(String(254))
    created_at: Mapped[datetime] = mapped_column(UTCDateTime, default=clock.now)
    last_used_at: Mapped[datetime] = mapped_column(UTCDateTime, default=clock.now)


class Attempt(Base):
    """A sign-in that was begun at one browser, for one provider and one purpose.

    Only digests of ``state`` and of the browser's cookie are kept. ``used_at``
    says when the provider's answer came; another one is refused. Where a
    person must do something after that, the columns from ``issuer`` on have
    what the provider said, and ``user_id`` is the account that has the address,
    if there is one. For a signed-in person, ``session_id`` and ``user_id`` say
    who began.
    """

    __tablename__ = "provider_attempts"
    __table_args__ = ({"sqlite_autoincrement": True},)

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    state_hash: Mapped[str] = mapped_column(String(64), unique=True)
    # A native application has no browser.
    browser_hash: Mapped[str | None] = mapped_column(String(64), index=True)
    provider: Mapped[str] = mapped_column(String(20))
    purpose: Mapped[str] = mapped_column(String(20))
    session_id: Mapped[UUID | None]
    user_id: Mapped[int | None] = mapped_column(ForeignKey(User.id, ondelete="CASCADE"), index=True)
    next_path: Mapped[str] = mapped_column(String(500))
    created_at: Mapped[datetime] = mapped_column(UTCDateTime)
    expires_at: Mapped[datetime] = mapped_column(UTCDateTime, index=True)
    used_at: Mapped[datetime | None] = mapped_column(UTCDateTime)

    issuer: Mapped[str | None] = mapped_column(String(255))
    subject: Mapped[str | None] = mapped_column(String(255))
    label: Mapped[str | None] = mapped_column(String(254))
    username: Mapped[str | None] = mapped_column(String(50))
    email: Mapped[str | None] = mapped_column(String(254))
    is_email_proved: Mapped[bool] = mapped_column(default=False, server_default=false())
