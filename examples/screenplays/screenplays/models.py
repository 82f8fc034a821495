"""The tables of the screenplays."""

from datetime import datetime

from sqlalchemy import ForeignKey, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column, relationship

from app import clock
from app.database.types import BigId, UTCDateTime
from app.extensions import Base
from app.models import User


class Screenplay(Base):
    """A screenplay as it is now. It belongs to one person."""

    __tablename__ = "screenplays"

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    owner_id: Mapped[int] = mapped_column(ForeignKey(User.id, ondelete="CASCADE"), index=True)
    title: Mapped[str] = mapped_column(String(200))
    logline: Mapped[str] = mapped_column(String(500))
    text: Mapped[str] = mapped_column(Text)
    # What a search reads: the title and the logline, case-folded. Databases fold only some letters.
    searched: Mapped[str] = mapped_column(Text)
    # Each save adds one. A save happens only if this is still the number that its author read.
    version: Mapped[int] = mapped_column(default=1)
    created_at: Mapped[datetime] = mapped_column(UTCDateTime, default=clock.now)
    changed_at: Mapped[datetime] = mapped_column(UTCDateTime, default=clock.now)

    owner: Mapped[User] = relationship()


class Version(Base):
    """A screenplay as somebody saved it. The newest one is the same as the screenplay."""

    __tablename__ = "screenplays_version"

    screenplay_id: Mapped[int] = mapped_column(
        ForeignKey(Screenplay.id, ondelete="CASCADE"), primary_key=True
    )
    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    title: Mapped[str] = mapped_column(String(200))
    logline: Mapped[str] = mapped_column(String(500))
    text: Mapped[str] = mapped_column(Text)
    # Nobody, once the account of the author is erased.
    author_id: Mapped[int | None] = mapped_column(
        ForeignKey(User.id, ondelete="SET NULL"), index=True
    )
    saved_at: Mapped[datetime] = mapped_column(UTCDateTime, default=clock.now)

    author: Mapped[User | None] = relationship()

    @property
    def author_name(self) -> str | None:
        return self.author.username if self.author else None


class Person(Base):
    """Somebody who may read or write a screenplay, or is invited to.

    An invitation opens nothing before it is accepted. One by username is for
    the user who had that name then, and not for a later one. One by address is
    for the user who has confirmed that address, also in an account that is made
    later.
    """

    __tablename__ = "screenplays_person"
    __table_args__ = (
        UniqueConstraint("screenplay_id", "user_id"),
        UniqueConstraint("screenplay_id", "invited_key"),
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    screenplay_id: Mapped[int] = mapped_column(ForeignKey(Screenplay.id, ondelete="CASCADE"))
    role: Mapped[str] = mapped_column(String(10))
    user_id: Mapped[int | None] = mapped_column(ForeignKey(User.id, ondelete="CASCADE"), index=True)
    # The address or the username that was invited, in its canonical form. It is deleted when the
    # invitation is accepted.
    invited_key: Mapped[str | None] = mapped_column(String(300), index=True)
    invited_at: Mapped[datetime] = mapped_column(UTCDateTime, default=clock.now)
    accepted_at: Mapped[datetime | None] = mapped_column(UTCDateTime)

    user: Mapped[User | None] = relationship()
    screenplay: Mapped[Screenplay] = relationship()

    @property
    def name(self) -> str:
        """How the owner knows them. Until they accept, it is what the owner typed."""
        return self.invited_key or (self.user.username if self.user else "")
