"""The chain that holds the audit log together."""

from datetime import datetime

from sqlalchemy import BigInteger, String
from sqlalchemy.orm import Mapped, mapped_column

from app.database.types import BigId, UTCDateTime
from app.extensions import Base


class AuditSeal(Base):
    """What one event was when it was sealed, bound to everything that was sealed before it.

    ``hash`` covers the hash before it and the other columns but ``salt``.
    The personal part is in it by a salted digest, so that it can be erased:
    without the salt, the digest says nothing.
    """

    __tablename__ = "audit_seals"

    position: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    event_id: Mapped[int] = mapped_column(BigId, unique=True)
    sealed_at: Mapped[datetime] = mapped_column(UTCDateTime)
    event_digest: Mapped[str] = mapped_column(String(64))
    personal_digest: Mapped[str] = mapped_column(String(64))
    salt: Mapped[str | None] = mapped_column(String(32))
    hash: Mapped[str] = mapped_column(String(64))


class AuditPruning(Base):
    """Up to where the log may be deleted; a row is there while ``flask prune`` does it.

    The database refuses every other deletion.
    """

    __tablename__ = "audit_prunings"

    through: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
