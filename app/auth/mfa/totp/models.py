"""The secret that an account shares with an authenticator app."""

from datetime import datetime

from sqlalchemy import BigInteger, ForeignKey, String
from sqlalchemy.orm import Mapped, mapped_column

from app.database.types import UTCDateTime
from app.extensions import Base
from app.models import User


class TotpFactor(Base):
    """It counts as a factor once the user has confirmed it with a code.

    ``last_step`` is the last time step (RFC 6238 §4.2) whose code was used.
    No code of that step, or of an earlier one, works again.
    """

    __tablename__ = "totp_factors"

    user_id: Mapped[int] = mapped_column(ForeignKey(User.id, ondelete="CASCADE"), primary_key=True)
    sealed_secret: Mapped[str] = mapped_column(String(300))
    key_id: Mapped[str] = mapped_column(String(60))
    last_step: Mapped[int | None] = mapped_column(BigInteger)
    created_at: Mapped[datetime] = mapped_column(UTCDateTime)
    confirmed_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
