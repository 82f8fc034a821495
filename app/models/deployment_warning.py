"""Signs of a wrong deployment that the servers noticed."""

from datetime import datetime

from sqlalchemy import String
from sqlalchemy.orm import Mapped, mapped_column

from app.database.types import UTCDateTime
from app.extensions import Base


class DeploymentWarning(Base):
    """The last time that a kind of sign was seen, and a sentence about it."""

    # The table has its first name: a rename would stop servers of the release before.
    __tablename__ = "sightings"

    kind: Mapped[str] = mapped_column(String(40), primary_key=True)
    detail: Mapped[str] = mapped_column(String(200))
    seen_at: Mapped[datetime] = mapped_column(UTCDateTime)
