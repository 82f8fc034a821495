"""The table of the notes."""

from sqlalchemy import ForeignKey, String
from sqlalchemy.orm import Mapped, mapped_column

from app.database.types import BigId
from app.extensions import Base
from app.models import User


class Note(Base):
    """A line of text. It is deleted with its author."""

    __tablename__ = "notes_note"

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    user_id: Mapped[int] = mapped_column(ForeignKey(User.id, ondelete="CASCADE"), index=True)
    text: Mapped[str] = mapped_column(String(500))
