"""Making roles, and giving them to users. Nobody can give a permission that they lack."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import func, select, union_all
from sqlalchemy.exc import IntegrityError

from app import audit
from app.access.permissions import ROLES_WRITE, Rights, roles_of
from app.audit.vocabulary import Event
from app.database import pages
from app.database.pages import Key, Order, Page
from app.database.rows import Expected, discard, lock
from app.errors import AppError, Message, NotFound, ValidationFailed
from app.extensions import db
from app.models import Role, RolePermission, Session, User, UserRole
from app.users import authority
from app.users.authority import LockedAccount

UNKNOWN_ROLE = Message("unknown_role", "There is no such role.")
BY_ID = Order((Key("id", Role.id),))


def listed(*, limit: int, cursor: str | None = None) -> Page[Role]:
    """A page of the roles, the oldest first. Raises ``ValidationFailed``."""
    return pages.page(select(Role), BY_ID, {"list": "roles"}, limit=limit, cursor=cursor)


def all_roles() -> Sequence[Role]:
    """All roles, by name."""
    return db.session.scalars(select(Role).order_by(Role.name)).all()


def read(role_id: int) -> Role:
    """Raises ``NotFound``."""
    role = db.session.get(Role, role_id)
    if role is None:
        raise NotFound
    return role


def by_name(name: str) -> Role:
    """Raises ``NotFound``."""
    role = db.session.scalar(select(Role).where(Role.name == name))
    if role is None:
        raise NotFound
    return role


def of(user_id: int) -> Sequence[Role]:
    """The roles of any user. Raises ``NotFound``."""
    if db.session.get(User, user_id) is None:
        raise NotFound
    return roles_of(user_id)


def create(
    *,
    name: str,
    description: str | None = None,
    permissions: Iterable[str] = (),
    require_mfa: bool = False,
    actor: Session | None,
) -> Role:
    """Make a role. Commits. Raises ``RoleNameTaken`` or ``NotEnoughPermissions``."""
    permissions = sorted(set(permissions))
    rights = authority.lock_actor(ROLES_WRITE, actor=actor)
    _refuse_beyond(rights, permissions, actor)
    role = Role(
        name=name,
        description=description,
        require_mfa=require_mfa,
        grants=_grants(permissions),
    )
    db.session.add(role)
    _flush_unless_taken()
    required = {"require_mfa": True} if require_mfa else {}
    _record(Event.ROLE_CREATED, actor, role=role.name, permissions=permissions, **required)
    db.session.commit()
    return role


def edit(
    role_id: int,
    changes: dict[str, Any],
    *,
    actor: Session | None,
    expected: Expected | None = None,
) -> Role:
    """Set those of ``name``, ``description``, ``permissions`` and ``require_mfa`` that are
    given. Commits.

    The change counts for everybody who has the role, from the next request
    on. Raises ``NotFound``, ``RoleNameTaken``, or ``NotEnoughPermissions``,
    also if the role has a permission that the actor lacks, before or after.
    Raises ``PreconditionFailed`` if the role is not as ``expected``.
    """
    rights, role = _lock_role(role_id, actor)
    if expected:
        expected(role)
    words = {name: value for name, value in changes.items() if name != "permissions"}
    return _write(role, words, changes.get("permissions", role.permissions), rights, actor)


def change_permissions(
    role_id: int, *, add: Iterable[str] = (), take: Iterable[str] = (), actor: Session | None
) -> Role:
    """Add permissions to a role, or take some away. Commits. Raises the same as ``edit``."""
    rights, role = _lock_role(role_id, actor)
    return _write(role, {}, {*role.permissions, *add} - {*take}, rights, actor)


def remove(role_id: int, *, actor: Session | None, expected: Expected | None = None) -> None:
    """Delete a role, and take it from everybody who has it. Commits.

    Raises ``NotFound``, ``NotEnoughPermissions``, or ``PreconditionFailed`` if
    the role is not as ``expected``.
    """
    _, role = _lock_role(role_id, actor)
    if expected:
        expected(role)
    _record(Event.ROLE_DELETED, actor, role=role.name, permissions=role.permissions)
    db.session.execute(discard(Role).where(Role.id == role.id))
    db.session.commit()


def assign(user_id: int, role_ids: Sequence[int], *, actor: Session | None) -> Sequence[Role]:
    """Give a user exactly these roles. Commits.

    Raises ``NotFound``, ``ValidationFailed`` for a role that does not exist,
    or ``NotEnoughPermissions`` if the user, or a role that is given or taken,
    has a permission that the actor lacks.
    """
    locked = authority.lock_account(user_id, ROLES_WRITE, actor=actor)
    after = _kept_from_deletion(role_ids)
    known = {role.id for role in after}
    unknown = [index for index, role_id in enumerate(role_ids) if role_id not in known]
    if unknown:
        raise ValidationFailed([UNKNOWN_ROLE.at(["roles", index]) for index in unknown])
    return _give(locked, after, actor)


def change_roles(
    user_id: int, *, add: Iterable[Role] = (), take: Iterable[Role] = (), actor: Session | None
) -> Sequence[Role]:
    """Give roles to a user, or take roles away. Commits. Raises the same as ``assign``."""
    locked = authority.lock_account(user_id, ROLES_WRITE, actor=actor)
    wanted = {role.id for role in [*roles_of(user_id), *add]} - {role.id for role in take}
    return _give(locked, _kept_from_deletion(wanted), actor)


def number_of_holders(role: Role, *, at_most: int | None = None) -> int:
    """How many people have the role. With ``at_most`` it stops counting there."""
    holders = select(UserRole.user_id).where(UserRole.role_id == role.id).limit(at_most)
    return db.session.scalar(select(func.count()).select_from(holders.subquery())) or 0


def some_holders(role_ids: Iterable[int], few: int) -> Mapping[int, Sequence[User]]:
    """Up to ``few`` of those who have each role, by username. One statement reads them all."""
    parts = [
        select(UserRole.role_id, UserRole.user_id).where(UserRole.role_id == role_id).limit(few)
        for role_id in role_ids
    ]
    found: dict[int, list[User]] = defaultdict(list)
    if parts:
        # SQLite takes a limit only in a subquery of a union.
        held = union_all(*(select(part.subquery()) for part in parts)).subquery()
        people = select(held.c.role_id, User).join(User, User.id == held.c.user_id)
        for role_id, user in db.session.execute(people.order_by(User.username_key)):
            found[role_id].append(user)
    return found


def _lock_role(role_id: int, actor: Session | None) -> tuple[Rights, Role]:
    """Lock a role that the actor may change. The caller commits.

    The actor must have every permission of the role.
    """
    rights = authority.lock_actor(ROLES_WRITE, actor=actor)
    role = lock(Role, Role.id == role_id)
    if role is None:
        raise NotFound
    _refuse_beyond(rights, role.permissions, actor)
    return rights, role


def _kept_from_deletion(role_ids: Iterable[int]) -> Sequence[Role]:
    # The lock is shared, because many users may get the same role at once.
    rows = select(Role).where(Role.id.in_(set(role_ids))).order_by(Role.id)
    return db.session.scalars(
        rows.with_for_update(read=True).execution_options(populate_existing=True)
    ).all()


def _write(
    role: Role,
    words: dict[str, Any],
    permissions: Iterable[str],
    rights: Rights,
    actor: Session | None,
) -> Role:
    before, after = role.permissions, sorted(set(permissions))
    _refuse_beyond(rights, after, actor)
    changed = {name: value for name, value in words.items() if getattr(role, name) != value}
    details: dict[str, Any] = {}
    if changed:
        details["fields"] = sorted(changed)
    if "require_mfa" in changed:
        details["require_mfa"] = {"from": role.require_mfa, "to": changed["require_mfa"]}
    if after != before:
        details["permissions"] = {"from": before, "to": after}
    if not details:
        db.session.commit()
        return role
    for name, value in changed.items():
        setattr(role, name, value)
    kept = [grant for grant in role.grants if grant.permission in after]
    role.grants = kept + _grants(sorted({*after} - {*before}))
    _flush_unless_taken()
    _record(Event.ROLE_CHANGED, actor, role=role.name, **details)
    db.session.commit()
    return role


def _give(locked: LockedAccount, roles: Sequence[Role], actor: Session | None) -> Sequence[Role]:
    before = {role.id: role for role in roles_of(locked.user.id)}
    after = {role.id: role for role in roles}
    given, taken = after.keys() - before.keys(), before.keys() - after.keys()
    for role in [*(after[role_id] for role_id in given), *(before[role_id] for role_id in taken)]:
        _refuse_beyond(locked.rights, role.permissions, actor)
    if not given and not taken:
        db.session.commit()
        return roles
    db.session.execute(
        discard(UserRole).where(UserRole.user_id == locked.user.id, UserRole.role_id.in_(taken))
    )
    db.session.add_all(
        UserRole(user_id=locked.user.id, role_id=role_id) for role_id in sorted(given)
    )
    _record(
        Event.ROLES_CHANGED,
        actor,
        subject_id=locked.user.id,
        roles={"from": _names(before.values()), "to": _names(after.values())},
    )
    db.session.commit()
    return roles


def _refuse_beyond(rights: Rights, permissions: Iterable[str], actor: Session | None) -> None:
    authority.refuse_unless(lambda mine: mine.include(*permissions), rights, actor)


def _grants(permissions: Iterable[str]) -> list[RolePermission]:
    return [RolePermission(permission=permission) for permission in permissions]


def _flush_unless_taken() -> None:
    try:
        db.session.flush()
    except IntegrityError:
        db.session.rollback()
        raise RoleNameTaken from None


def _names(roles: Iterable[Role]) -> list[str]:
    return sorted(role.name for role in roles)


def _record(
    event: Event, actor: Session | None, *, subject_id: int | None = None, **details: Any
) -> None:
    audit.record(event, subject_id=subject_id, actor_id=actor.user_id if actor else None, **details)


class RoleNameTaken(AppError):
    status, code = 400, "role_name_taken"
    detail = "There is already a role with this name."
