"""A secret that was mailed to somebody. It works once, for one purpose."""

from datetime import datetime

from sqlalchemy import ForeignKey, Index, String, literal
from sqlalchemy.orm import Mapped, mapped_column, relationship

from app.database.types import BigId, UTCDateTime
from app.extensions import Base
from app.models.user import User


class OneTimeToken(Base):
    """Only the SHA-256 of the token is kept, so that a reader of the database cannot use it."""

    __tablename__ = "one_time_tokens"
    __table_args__ = ({"sqlite_autoincrement": True},)

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    user_id: Mapped[int] = mapped_column(ForeignKey(User.id, ondelete="CASCADE"), index=True)
    purpose: Mapped[str] = mapped_column(String(30))
    token_hash: Mapped[str] = mapped_column(String(64), unique=True)
    # The address that the token is about, and for an undo the one that it would replace.
    email: Mapped[str | None] = mapped_column(String(254))
    replaced_email: Mapped[str | None] = mapped_column(String(254))
    created_at: Mapped[datetime] = mapped_column(UTCDateTime)
    expires_at: Mapped[datetime] = mapped_column(UTCDateTime, index=True)
    used_at: Mapped[datetime | None] = mapped_column(UTCDateTime)

    user: Mapped[User] = relationship()


# The condition of an index must contain the value itself, and not a parameter.
IS_UNDO = OneTimeToken.purpose == literal("email_undo", String, literal_execute=True)

# At every new account the code asks whether somebody may still take its address back.
Index(
    "ix_one_time_tokens_undo_email",
    OneTimeToken.email,
    postgresql_where=IS_UNDO,
    sqlite_where=IS_UNDO,
)
