"""What there is to be permitted, and who holds it.

A permission is declared where the call is that wants it, in one line. Roles
carry permissions, users have roles, and a superuser may do everything.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import bindparam, select
from sqlalchemy.orm import Session as DatabaseSession

from app.extensions import db
from app.models import Role, RolePermission, User, UserRole

# What the column holds.
MAX_NAME_LENGTH = 50


@dataclass(frozen=True)
class Permission:
    """Something that not everybody may do."""

    name: str
    description: str

    def __str__(self) -> str:
        return self.name


_declared: dict[str, Permission] = {}


def declare(name: str, description: str) -> Permission:
    """A new permission, named after what it is about and what it allows: ``notes:read``."""
    permission = Permission(name, description)
    if _declared.setdefault(name, permission) != permission:
        raise ValueError(f"The permission {name} is declared already, for something else.")
    if len(name) > MAX_NAME_LENGTH:
        raise ValueError(f"The name {name} has more than {MAX_NAME_LENGTH} characters.")
    return permission


def declared() -> list[Permission]:
    """Every permission of this application, by name."""
    return sorted(_declared.values(), key=str)


def is_declared(name: str) -> bool:
    return name in _declared


USERS_READ = declare("users:read", "See all accounts.")
USERS_WRITE = declare("users:write", "Invite people; edit, activate and deactivate accounts.")
USERS_DELETE = declare("users:delete", "Delete accounts.")
SESSIONS_READ = declare("sessions:read", "See where others are signed in.")
SESSIONS_REVOKE = declare("sessions:revoke", "Sign others out.")
AUDIT_READ = declare("audit:read", "Read the audit log.")
ROLES_READ = declare("roles:read", "See roles, and who has them.")
ROLES_WRITE = declare("roles:write", "Make and edit roles; give and take them.")


@dataclass(frozen=True)
class Rights:
    """What somebody may do."""

    permissions: frozenset[str] = frozenset()
    everything: bool = False

    def include(self, *permissions: Permission | str) -> bool:
        return self.everything or self.permissions >= {str(wanted) for wanted in permissions}

    def cover(self, others: "Rights") -> bool:
        """Whether whoever has these may do all that the others allow."""
        return self.everything or (not others.everything and self.permissions >= others.permissions)


EVERYTHING = Rights(everything=True)

# Built once: it runs on every call that wants a permission.
PERMISSIONS_OF_USER = (
    select(RolePermission.permission)
    .join(UserRole, UserRole.role_id == RolePermission.role_id)
    .where(UserRole.user_id == bindparam("user_id"))
)


def rights_of(user: User, database: DatabaseSession) -> Rights:
    """What the user may do now. For a superuser, nothing is asked of the database."""
    if user.is_superuser:
        return EVERYTHING
    return Rights(frozenset(database.scalars(PERMISSIONS_OF_USER, {"user_id": user.id})))


def held_by(user_id: int) -> Sequence[Role]:
    """The roles of a user, by id."""
    mine = select(Role).join(UserRole, UserRole.role_id == Role.id)
    return db.session.scalars(mine.where(UserRole.user_id == user_id).order_by(Role.id)).all()
