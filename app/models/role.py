"""A named set of permissions."""

from datetime import datetime

from sqlalchemy import ForeignKey, String, false, func
from sqlalchemy.orm import Mapped, mapped_column, relationship

from app.database.types import BigId, UTCDateTime
from app.extensions import Base


class Role(Base):
    """A role gives its permissions to each user who has it. The code declares permissions."""

    __tablename__ = "roles"
    __table_args__ = ({"sqlite_autoincrement": True},)

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    name: Mapped[str] = mapped_column(String(50), unique=True)
    description: Mapped[str | None] = mapped_column(String(200))
    # Whether its permissions count only in a session with a second factor.
    require_mfa: Mapped[bool] = mapped_column(default=False, server_default=false())
    created_at: Mapped[datetime] = mapped_column(UTCDateTime, server_default=func.now())

    grants: Mapped[list["RolePermission"]] = relationship(
        lazy="selectin", cascade="all, delete-orphan", passive_deletes=True
    )

    @property
    def permissions(self) -> list[str]:
        return sorted(grant.permission for grant in self.grants)


class RolePermission(Base):
    """One permission of a role, by its name. It has no effect if no code declares it."""

    __tablename__ = "role_permissions"

    role_id: Mapped[int] = mapped_column(ForeignKey(Role.id, ondelete="CASCADE"), primary_key=True)
    permission: Mapped[str] = mapped_column(String(50), primary_key=True)
