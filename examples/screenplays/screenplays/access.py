"""Who may do what with a screenplay. Every call begins here.

The owner may do everything. Editors read and write, and readers read. Somebody
with the permission ``screenplays:read-all`` reads. For anybody else there is no
such screenplay, so that ids do not tell what exists.
"""

from collections.abc import Callable
from dataclasses import dataclass

from sqlalchemy import ColumnElement, and_, or_, select
from sqlalchemy.orm import joinedload

from app.audit import recording
from app.errors import NotEnoughPermissions, NotFound
from app.extensions import db
from app.models import User
from screenplays.models import Person, Screenplay
from screenplays.names import READ_BY_PERMISSION

OWNER, EDITOR, READER = "owner", "editor", "reader"
# The roles that an owner can give.
GIVEN = (EDITOR, READER)
WRITERS = (OWNER, EDITOR)


@dataclass(frozen=True)
class Opened:
    """A screenplay, and the role of the person who opened it. ``None`` means by permission."""

    screenplay: Screenplay
    role: str | None

    @property
    def may_write(self) -> bool:
        return self.role in WRITERS

    @property
    def may_manage(self) -> bool:
        return self.role == OWNER


def nobody_reads_all() -> bool:
    return False


def open_for(
    user: User, screenplay_id: int, reads_all: Callable[[], bool] = nobody_reads_all
) -> Opened:
    """Open a screenplay to read it. Raises ``NotFound`` if it is not shared with the user.

    ``reads_all`` says whether the user has the permission. It is asked last,
    because it costs a statement. Whoever reads by it is recorded, and the owner
    sees that. Commits then.
    """
    screenplay = db.session.scalar(
        select(Screenplay)
        .where(Screenplay.id == screenplay_id)
        .options(joinedload(Screenplay.owner))
        .execution_options(populate_existing=True)
    )
    if screenplay is None:
        raise NotFound
    role = _role(user, screenplay)
    if role is None:
        if not reads_all():
            raise NotFound
        recording.record(
            READ_BY_PERMISSION,
            subject_id=screenplay.owner_id,
            actor_id=user.id,
            screenplay_id=screenplay.id,
        )
        db.session.commit()
    return Opened(screenplay, role)


def open_to_write(user: User, screenplay_id: int) -> Opened:
    """Raises ``NotFound``, and ``NotEnoughPermissions`` if the user is a reader."""
    opened = open_for(user, screenplay_id)
    if not opened.may_write:
        raise NotEnoughPermissions
    return opened


def open_to_manage(user: User, screenplay_id: int) -> Opened:
    """Raises ``NotFound``, and ``NotEnoughPermissions`` unless the user is the owner."""
    opened = open_for(user, screenplay_id)
    if not opened.may_manage:
        raise NotEnoughPermissions
    return opened


def is_writer(user: User) -> ColumnElement[bool]:
    """The condition of an UPDATE that the user may write, when the database writes."""
    return or_(Screenplay.owner_id == user.id, _is_on_it(user, EDITOR))


def is_visible_to(user: User) -> ColumnElement[bool]:
    """The condition of a list: the user's own screenplays, and those shared with the user."""
    return or_(Screenplay.owner_id == user.id, _is_on_it(user, *GIVEN))


def roles_in(user: User, screenplays: list[Screenplay]) -> dict[int, str]:
    """The role of the user in each of these screenplays, by their ids."""
    others = [one.id for one in screenplays if one.owner_id != user.id]
    given = select(Person.screenplay_id, Person.role).where(
        Person.screenplay_id.in_(others), *_accepted(user)
    )
    found = {row.screenplay_id: row.role for row in db.session.execute(given)} if others else {}
    return found | {one.id: OWNER for one in screenplays if one.owner_id == user.id}


def _role(user: User, screenplay: Screenplay) -> str | None:
    return roles_in(user, [screenplay]).get(screenplay.id)


def _accepted(user: User) -> tuple[ColumnElement[bool], ...]:
    return (Person.user_id == user.id, Person.accepted_at.is_not(None))


def _is_on_it(user: User, *roles: str) -> ColumnElement[bool]:
    on_it = and_(Person.screenplay_id == Screenplay.id, Person.role.in_(roles), *_accepted(user))
    return select(Person.id).where(on_it).exists()
