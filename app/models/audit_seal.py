"""The chain of seals, which shows whether the audit log was changed."""

from datetime import datetime

from sqlalchemy import BigInteger, String
from sqlalchemy.orm import Mapped, mapped_column

from app.database.types import BigId, UTCDateTime
from app.extensions import Base


class AuditSeal(Base):
    """A digest of one event when it was sealed, bound to all seals before it.

    ``hash`` covers the hash before it and all other columns except ``salt``.
    It covers the personal part through a salted digest, so that this part can
    be erased: without the salt, the digest says nothing.
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
    """The last event that may be deleted. The row exists only while ``flask prune`` runs.

    The database refuses every other deletion.
    """

    __tablename__ = "audit_prunings"

    through: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
