"""One login, and what its client may still use: one refresh token, or the secret of one cookie."""

from datetime import datetime
from uuid import UUID, uuid4

from sqlalchemy import ForeignKey, Index, String, false, func
from sqlalchemy.orm import Mapped, mapped_column, relationship

from app import clock
from app.database.types import UTCDateTime
from app.extensions import Base
from app.models.user import User


class Session(Base):
    """A signed-in device. Its tokens are valid while the session lives.

    ``refresh_jti`` names the only valid refresh token and ``refreshed_at`` says
    when it was made. ``previous_jti`` names the one before it and
    ``rotated_at`` says when that was superseded. The two instants differ after
    a late retry, which makes a new successor but gives the old token no more
    time. ``rotated_at`` is missing where no refresh happened yet.

    A session that a cookie holds has a ``cookie_hash``, and no tokens.
    ``refreshed_at`` then says when its idle time began again. It is fresh for
    a while after ``authenticated_at``, which is missing where the login was not.
    """

    __tablename__ = "sessions"
    # ``scopes`` and ``key_hash`` are no columns.
    __allow_unmapped__ = True

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid4)
    user_id: Mapped[int] = mapped_column(ForeignKey(User.id, ondelete="CASCADE"), index=True)
    refresh_jti: Mapped[UUID] = mapped_column(default=uuid4)
    previous_jti: Mapped[UUID | None]
    # The last successor that was given out again. The audit log records that once for each.
    retried_jti: Mapped[UUID | None]
    # Tokens name their generation. A change of the password begins a new generation, and the
    # tokens of earlier ones are dead.
    generation: Mapped[int] = mapped_column(default=0, server_default="0")
    # How the user showed who they are: the level (1, or 2 with a second factor), the methods of
    # RFC 8176 separated by spaces, the first of them in words, and when the last one was given.
    # Rows of an earlier release do not say when; that was at the login.
    aal: Mapped[int] = mapped_column(default=1, server_default="1")
    amr: Mapped[str] = mapped_column(String(60), default="pwd", server_default="pwd")
    signed_in_by: Mapped[str] = mapped_column(
        String(30), default="password", server_default="password"
    )
    authenticated_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    # The SHA-256 of the only secret with which the cookie opens this session, and whether the
    # cookie outlives its browser.
    cookie_hash: Mapped[str | None] = mapped_column(String(64))
    is_remembered: Mapped[bool] = mapped_column(default=False, server_default=false())
    ip: Mapped[str | None] = mapped_column(String(45))
    user_agent: Mapped[str | None] = mapped_column(String(300))
    created_at: Mapped[datetime] = mapped_column(UTCDateTime, server_default=func.now())
    refreshed_at: Mapped[datetime] = mapped_column(UTCDateTime)
    rotated_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    # When the session ends without a refresh, and the latest end that refreshing can give it.
    expires_at: Mapped[datetime] = mapped_column(UTCDateTime)
    max_expires_at: Mapped[datetime] = mapped_column(UTCDateTime, index=True)
    ended_at: Mapped[datetime | None] = mapped_column(UTCDateTime)

    user: Mapped[User] = relationship()

    # A request with an API key has a session that is not a row, and has the id of the key. This is
    # what the key may do: those of its scopes that its owner could use when the request came.
    scopes: frozenset[str] | None = None
    # The digest of that key. A key that was replaced has the same id as the new one.
    key_hash: str | None = None

    @property
    def kind(self) -> str:
        """What the client holds: tokens, a cookie, or an API key."""
        if self.cookie_hash:
            return "cookie"
        return "token" if self.scopes is None else "key"

    @property
    def is_live(self) -> bool:
        return self.ended_at is None and clock.now() < self.expires_at


# Requests find the session of their cookie by it. Most sessions have tokens and need no entry.
Index(
    "ix_sessions_cookie_hash",
    Session.cookie_hash,
    unique=True,
    postgresql_where=Session.cookie_hash.is_not(None),
    sqlite_where=Session.cookie_hash.is_not(None),
)
