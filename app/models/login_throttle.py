"""Counts failed logins."""

from datetime import datetime

from sqlalchemy import CHAR, String
from sqlalchemy.orm import Mapped, mapped_column

from app.database.types import UTCDateTime
from app.extensions import Base

# Stands in place of a network in a row that counts the failures from all networks.
ANYWHERE = "*"


class LoginThrottle(Base):
    """Failures in a row at one identifier or account, from one network or from all.

    ``subject`` is a pseudonym. So the table does not show which account it
    is about, or whether that account exists.
    """

    __tablename__ = "login_throttles"

    subject: Mapped[str] = mapped_column(CHAR(64), primary_key=True)
    network: Mapped[str] = mapped_column(String(50), primary_key=True)
    failures: Mapped[int]
    blocked_until: Mapped[datetime | None] = mapped_column(UTCDateTime)
    last_failure_at: Mapped[datetime] = mapped_column(UTCDateTime, index=True)
