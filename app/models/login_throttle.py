"""How often somebody failed to log in."""

from datetime import datetime

from sqlalchemy import CHAR, String
from sqlalchemy.orm import Mapped, mapped_column

from app.database.types import UTCDateTime
from app.extensions import Base

# In place of a network: the row counts the failures from anywhere.
ANYWHERE = "*"


class LoginThrottle(Base):
    """Failures in a row at one identifier or account, from one network or from anywhere.

    ``subject`` is a pseudonym: the table does not tell who it is about, nor
    whether there is such an account.
    """

    __tablename__ = "login_throttles"

    subject: Mapped[str] = mapped_column(CHAR(64), primary_key=True)
    network: Mapped[str] = mapped_column(String(50), primary_key=True)
    failures: Mapped[int]
    blocked_until: Mapped[datetime | None] = mapped_column(UTCDateTime)
    last_failure_at: Mapped[datetime] = mapped_column(UTCDateTime, index=True)
