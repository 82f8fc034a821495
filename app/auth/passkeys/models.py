"""Passkeys, and the ceremonies that were used up."""

from datetime import datetime
from uuid import UUID, uuid4

from sqlalchemy import BigInteger, ForeignKey, LargeBinary, String
from sqlalchemy.orm import Mapped, mapped_column

from app.database.types import UTCDateTime
from app.extensions import Base
from app.models import User


class PasskeyHandle(Base):
    """The user handle of WebAuthn: 32 random bytes that name the account and tell nothing else."""

    __tablename__ = "passkey_handles"

    user_id: Mapped[int] = mapped_column(ForeignKey(User.id, ondelete="CASCADE"), primary_key=True)
    handle: Mapped[bytes] = mapped_column(LargeBinary(32), unique=True)


class Passkey(Base):
    """The public half of a key that stays in somebody's authenticator.

    ``sign_count`` only rises; an authenticator that does not count sends 0
    always. ``rp_id`` is the domain that the key belongs to. ``may_sync`` says
    whether the authenticator may have a backup of the key elsewhere, and
    ``synced`` whether it has one. ``verifies_user`` says whether it is known
    that the authenticator asks for a PIN, a finger or a face.
    """

    __tablename__ = "passkeys"

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid4)
    user_id: Mapped[int] = mapped_column(ForeignKey(User.id, ondelete="CASCADE"), index=True)
    credential_id: Mapped[bytes] = mapped_column(LargeBinary(1023), unique=True)
    public_key: Mapped[bytes] = mapped_column(LargeBinary)
    algorithm: Mapped[int]
    sign_count: Mapped[int] = mapped_column(BigInteger)
    rp_id: Mapped[str] = mapped_column(String(253))
    aaguid: Mapped[UUID | None]
    # Separated by spaces: "internal hybrid".
    transports: Mapped[str] = mapped_column(String(100))
    verifies_user: Mapped[bool]
    # None: the key was added before this was recorded.
    may_sync: Mapped[bool | None]
    synced: Mapped[bool]
    name: Mapped[str] = mapped_column(String(100))
    created_at: Mapped[datetime] = mapped_column(UTCDateTime)
    last_used_at: Mapped[datetime | None] = mapped_column(UTCDateTime)


class SpentCeremony(Base):
    """A ceremony that succeeded. It may succeed only once, so its digest is kept until it ends."""

    __tablename__ = "spent_ceremonies"

    ceremony_hash: Mapped[str] = mapped_column(String(64), primary_key=True)
    expires_at: Mapped[datetime] = mapped_column(UTCDateTime, index=True)
