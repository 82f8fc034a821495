"""The roles of users."""

from sqlalchemy import ForeignKey
from sqlalchemy.orm import Mapped, mapped_column

from app.extensions import Base
from app.models.role import Role
from app.models.user import User


class UserRole(Base):
    """A user has a role."""

    __tablename__ = "user_roles"

    user_id: Mapped[int] = mapped_column(ForeignKey(User.id, ondelete="CASCADE"), primary_key=True)
    role_id: Mapped[int] = mapped_column(
        ForeignKey(Role.id, ondelete="CASCADE"), primary_key=True, index=True
    )
