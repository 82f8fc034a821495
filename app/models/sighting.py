"""Things that the servers noticed and that an operator should know."""

from datetime import datetime

from sqlalchemy import String
from sqlalchemy.orm import Mapped, mapped_column

from app.database.types import UTCDateTime
from app.extensions import Base


class Sighting(Base):
    """The last time that a kind of thing was seen, and a sentence about it."""

    __tablename__ = "sightings"

    kind: Mapped[str] = mapped_column(String(40), primary_key=True)
    detail: Mapped[str] = mapped_column(String(200))
    seen_at: Mapped[datetime] = mapped_column(UTCDateTime)
