"""The results of the last checks of the audit log."""

from datetime import datetime

from sqlalchemy import BigInteger, String
from sqlalchemy.orm import Mapped, mapped_column

from app.database.types import BigId, UTCDateTime
from app.extensions import Base


class AuditCheck(Base):
    """The last check with this outcome: ``whole``, or ``broken``.

    So a good check does not hide a bad one. It is a note for people, and no proof: somebody who can
    write to the database can write here too.
    """

    __tablename__ = "audit_checks"

    outcome: Mapped[str] = mapped_column(String(10), primary_key=True)
    checked_at: Mapped[datetime] = mapped_column(UTCDateTime)
    # Where the check began: 0 is the beginning of the log.
    after: Mapped[int] = mapped_column(BigInteger)
    # Up to here everything was whole.
    position: Mapped[int] = mapped_column(BigInteger)
    head: Mapped[str] = mapped_column(String(64))
    # What was wrong: its kind, the event, and a sentence.
    kind: Mapped[str | None] = mapped_column(String(40))
    event_id: Mapped[int | None] = mapped_column(BigId)
    sentence: Mapped[str | None] = mapped_column(String(500))
