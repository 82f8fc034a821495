"""Sharing a screenplay: inviting people, and taking them off it.

The owner sees an invitation in the same way whether or not anybody has the
address or the username, and it opens nothing until somebody accepts it.
"""

from collections.abc import Sequence

from sqlalchemy import ColumnElement, and_, delete, func, or_, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import defer, joinedload

from app import clock
from app.audit import recording
from app.database.rows import change
from app.errors import NotEnoughPermissions, NotFound
from app.extensions import db
from app.mail import outbox
from app.models import User
from app.security.identifiers import identifier_of
from config import settings
from screenplays import access
from screenplays.access import Opened
from screenplays.errors import AlreadyInvited, TooManyPeople
from screenplays.mails import invitation_asked
from screenplays.models import Person, Screenplay
from screenplays.names import INVITED
from screenplays.settings import ScreenplaySettings


def listed(opened: Opened) -> Sequence[Person]:
    """The people of a screenplay. Only the owner sees invitations, which have addresses."""
    people = select(Person).where(Person.screenplay_id == opened.screenplay.id)
    if not opened.may_manage:
        people = people.where(Person.accepted_at.is_not(None))
    return db.session.scalars(people.options(joinedload(Person.user)).order_by(Person.id)).all()


def invite(owner: User, screenplay_id: int, *, name: str, role: str) -> Person:
    """Invite somebody by username or address, and queue the mail. Commits.

    Raises ``NotFound``, ``NotEnoughPermissions``, ``TooManyPeople`` or
    ``AlreadyInvited``. Registration tells which usernames are taken, so
    they are not secret. The addresses of accounts are: for every address the
    same is done here, and a mail is sent to it.
    """
    access.open_to_manage(owner, screenplay_id)
    invited = identifier_of(username=name)
    if invited.value in (owner.email, owner.username_key):
        raise AlreadyInvited
    count = select(func.count()).where(Person.screenplay_id == screenplay_id)
    if (db.session.scalar(count) or 0) >= settings.of(ScreenplaySettings).people:
        raise TooManyPeople
    user = _user_named(invited.value) if invited.kind == "username" else None
    person = Person(
        screenplay_id=screenplay_id,
        role=role,
        user_id=user.id if user else None,
        invited_key=invited.value,
    )
    db.session.add(person)
    try:
        db.session.flush()
    except IntegrityError:
        db.session.rollback()
        raise AlreadyInvited from None
    address = user.email if user else invited.value
    if "@" in address:
        context = {"person": person.id, "locale": owner.locale}
        outbox.queue(invitation_asked, to=address, **context)
    recording.record(
        INVITED, subject_id=owner.id, actor_id=owner.id, screenplay_id=screenplay_id, role=role
    )
    db.session.commit()
    return person


def give_role(owner: User, screenplay_id: int, person_id: int, *, role: str) -> Person:
    """Make an editor of a reader, or a reader of an editor. Commits."""
    access.open_to_manage(owner, screenplay_id)
    giving = change(Person).where(*_one(screenplay_id, person_id)).values(role=role)
    person: Person | None = db.session.scalar(giving.returning(Person))
    if person is None:
        raise NotFound
    db.session.commit()
    return person


def remove(user: User, screenplay_id: int, person_id: int) -> None:
    """Take somebody off a screenplay. The owner may do it, and people themselves. Commits."""
    opened = access.open_for(user, screenplay_id)
    person = db.session.scalar(select(Person).where(*_one(screenplay_id, person_id)))
    is_own = person is not None and person.user_id == user.id and person.accepted_at is not None
    if not opened.may_manage and not is_own:
        raise NotEnoughPermissions
    _discard(Person.id == person_id, Person.screenplay_id == screenplay_id)
    db.session.commit()


def invitations(user: User) -> Sequence[Person]:
    """The invitations that the user may accept, the oldest first."""
    waiting = (
        select(Person)
        .where(is_for(user))
        .options(
            joinedload(Person.screenplay).options(
                defer(Screenplay.text), joinedload(Screenplay.owner)
            )
        )
        .order_by(Person.id)
        .limit(100)
    )
    return db.session.scalars(waiting).all()


def accept(user: User, person_id: int) -> Opened:
    """Accept an invitation. Raises ``NotFound``. Commits."""
    invitation = db.session.scalar(select(Person).where(Person.id == person_id, is_for(user)))
    if invitation is None:
        raise NotFound
    screenplay_id = invitation.screenplay_id
    # The user may have been invited by another name too, or own the screenplay by now.
    _discard_silently(
        Person.screenplay_id == screenplay_id, Person.user_id == user.id, Person.id != person_id
    )
    accepting = (
        change(Person)
        .where(Person.id == person_id, is_for(user))
        .values(user_id=user.id, accepted_at=clock.now(), invited_key=None)
        .returning(Person.id)
    )
    try:
        accepted = db.session.scalar(accepting)
    except IntegrityError:
        accepted = None
    if accepted is None:
        db.session.rollback()
        raise NotFound
    db.session.commit()
    return access.open_for(user, screenplay_id)


def decline(user: User, person_id: int) -> None:
    """Decline an invitation. Raises ``NotFound``. Commits."""
    _discard(Person.id == person_id, is_for(user))
    db.session.commit()


def _one(screenplay_id: int, person_id: int) -> tuple[ColumnElement[bool], ...]:
    return (Person.id == person_id, Person.screenplay_id == screenplay_id)


def is_for(user: User) -> ColumnElement[bool]:
    """Whether the user may accept it.

    Anybody can register with an address that is not theirs, so only a
    confirmed address counts.
    """
    by_name = Person.user_id == user.id
    if not user.email_verified:
        return and_(Person.accepted_at.is_(None), by_name)
    return and_(Person.accepted_at.is_(None), or_(by_name, Person.invited_key == user.email))


def _user_named(key: str) -> User | None:
    return db.session.scalar(select(User).where(User.username_key == key))


def _discard(*which: ColumnElement[bool]) -> None:
    if db.session.scalar(delete(Person).where(*which).returning(Person.id)) is None:
        raise NotFound


def _discard_silently(*which: ColumnElement[bool]) -> None:
    db.session.execute(delete(Person).where(*which))
