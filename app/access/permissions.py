"""The permissions, and the rights that users have.

A permission is declared in one line, beside the call that requires it. Roles
contain permissions, users have roles, and a superuser may do everything.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Integer, bindparam, or_, select
from sqlalchemy.orm import Session as DatabaseSession

from app.extensions import db
from app.models import Role, RolePermission, Session, User, UserRole

# The length of the column in the database.
MAX_NAME_LENGTH = 50


@dataclass(frozen=True)
class Permission:
    """The right to do something that not everybody may do."""

    name: str
    description: str

    def __str__(self) -> str:
        return self.name


_declared: dict[str, Permission] = {}
# The names of the scopes that every owner may give to an API key.
_names_of_scopes: set[str] = set()


def declare(name: str, description: str) -> Permission:
    """A new permission. Its name says what it concerns and what it allows: ``notes:read``."""
    permission = Permission(name, description)
    # Otherwise everybody could give the permission to a key without having it.
    if name in _names_of_scopes:
        raise ValueError(f"The name {name} is already that of a scope.")
    if _declared.setdefault(name, permission) != permission:
        raise ValueError(f"The permission {name} is already declared with another description.")
    if len(name) > MAX_NAME_LENGTH:
        raise ValueError(f"The name {name} has more than {MAX_NAME_LENGTH} characters.")
    return permission


def declared() -> list[Permission]:
    """Every permission of this application, by name."""
    return sorted(_declared.values(), key=str)


def reserve(name: str) -> None:
    """Note the name of a scope, which no permission may have. Raises ``ValueError``."""
    if is_declared(name):
        raise ValueError(f"The name {name} is already that of a permission.")
    _names_of_scopes.add(name)


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

# The permissions that this file declares. Features declare others.
OF_CORE = frozenset(_declared)


@dataclass(frozen=True)
class Rights:
    """The permissions that a user has."""

    permissions: frozenset[str] = frozenset()
    everything: bool = False

    def include(self, *permissions: Permission | str) -> bool:
        return self.everything or self.permissions >= {str(wanted) for wanted in permissions}

    def cover(self, others: "Rights") -> bool:
        """Whether these rights include all of the others."""
        return self.everything or (not others.everything and self.permissions >= others.permissions)


EVERYTHING = Rights(everything=True)

# It is built once, because it runs on every call that requires a permission.
PERMISSIONS_OF_USER = (
    select(RolePermission.permission)
    .join(UserRole, UserRole.role_id == RolePermission.role_id)
    .join(Role, Role.id == UserRole.role_id)
    .where(UserRole.user_id == bindparam("user_id"))
    .where(or_(~Role.require_mfa, bindparam("aal", type_=Integer) >= 2))
)


def permissions_of(user_id: int, database: DatabaseSession, *, aal: int) -> frozenset[str]:
    """The permissions that the roles of a user give now, in a session of this level."""
    return frozenset(database.scalars(PERMISSIONS_OF_USER, {"user_id": user_id, "aal": aal}))


def rights_of(user: User, database: DatabaseSession, *, aal: int) -> Rights:
    """The rights of the user now, in a session of this level. For a superuser it sends no query.

    A role with ``require_mfa`` gives its permissions only from level 2 on.
    """
    if user.is_superuser:
        return EVERYTHING
    return Rights(permissions_of(user.id, database, aal=aal))


def rights_in(session: Session, user: User, database: DatabaseSession) -> Rights:
    """The rights that the user of the session has now, as far as the session may use them.

    An API key may use its scopes alone. That a superuser may do everything
    does not count for a key.
    """
    if session.scopes is None:
        return rights_of(user, database, aal=session.aal)
    return Rights(session.scopes & permissions_of(user.id, database, aal=session.aal))


def roles_of(user_id: int) -> Sequence[Role]:
    """The roles of a user, by id."""
    mine = select(Role).join(UserRole, UserRole.role_id == Role.id)
    return db.session.scalars(mine.where(UserRole.user_id == user_id).order_by(Role.id)).all()
