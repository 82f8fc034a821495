"""The identity of an imported account in the system that it came from."""

from sqlalchemy import ForeignKey, String
from sqlalchemy.orm import Mapped, mapped_column

from app.extensions import Base
from app.models.user import User


class ImportedAccount(Base):
    """Links an account to its row in another system.

    An import that runs again finds its accounts by it. The email address is
    not enough, because two people in the other system may share one.
    """

    __tablename__ = "imported_accounts"

    user_id: Mapped[int] = mapped_column(ForeignKey(User.id, ondelete="CASCADE"), primary_key=True)
    system: Mapped[str] = mapped_column(String(20), primary_key=True)
    # A digest of the id there, or of the whole row where it has no id.
    identity: Mapped[str] = mapped_column(String(70))
