"""Operators and administrators manage accounts.

``actor`` is the session of the administrator, and ``None`` for an operator in the shell.
"""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import select

from app import audit, clock
from app.access.live_session import is_live
from app.access.permissions import (
    SESSIONS_REVOKE,
    USERS_DELETE,
    USERS_WRITE,
)
from app.audit.vocabulary import Event
from app.auth import credentials, ways_in
from app.auth import taken as auth_taken
from app.auth.password import reset
from app.auth.sessions import sessions
from app.database.rows import Expected, lock_in_order
from app.errors import NotEnoughPermissions, NotFound
from app.extensions import db
from app.features.credentials import CredentialChange
from app.http.languages import LOCALES
from app.mail import messages, names, outbox
from app.models import Session, User
from app.security import identifiers, one_time_tokens
from app.security.identifiers import username_key
from app.security.one_time_tokens import Purpose
from app.users import authority, closing, profile

# The audit event for each flag: (when it is cleared, when it is set).
FLAGS = {
    "is_superuser": (Event.USER_DEMOTED, Event.USER_PROMOTED),
    "is_active": (Event.USER_DEACTIVATED, Event.USER_ACTIVATED),
}


def read(user_id: int) -> User:
    """Raises ``NotFound``."""
    return _existing(user_id)


def invite(
    *,
    email: str,
    username: str,
    full_name: str | None = None,
    is_superuser: bool = False,
    locale: str = LOCALES[0],
    actor: Session | None,
) -> User:
    """Make an account, and mail its owner a link to choose the password. Commits.

    The address counts as confirmed once the owner has used that link. The
    language is that of the actor, and ``locale`` for an operator. Raises
    ``EmailTaken``, ``UsernameTaken``, or ``NotEnoughPermissions`` if somebody
    who is not a superuser wants to make one.
    """
    rights = authority.lock_actor(USERS_WRITE, actor=actor)
    if is_superuser and not rights.everything:
        raise NotEnoughPermissions
    user = User(
        email=email,
        username=username,
        username_key=username_key(username),
        full_name=full_name,
        is_superuser=is_superuser,
        locale=actor.user.locale if actor else locale,
    )
    auth_taken.add(user)
    _mail_invitation(user, actor)
    personal = {"email": user.email, "username": user.username}
    _record(Event.USER_CREATED, user, actor, personal=personal, is_superuser=is_superuser)
    db.session.commit()
    return user


def edit(
    user_id: int,
    changes: dict[str, Any],
    *,
    actor: Session | None,
    expected: Expected | None = None,
) -> User:
    """Set the given fields of an account. Commits.

    Deactivating signs the account out everywhere at once and ends the links
    that were mailed. Activating brings neither back. Raises ``NotFound``,
    ``NotEnoughPermissions``, ``UsernameTaken``, ``LastSuperuser``, or
    ``PreconditionFailed`` if the account is not as ``expected``.
    """
    locked = authority.lock_account(user_id, USERS_WRITE, actor=actor)
    user = locked.user
    if expected:
        expected(user)
    changed = profile.difference(user, changes)
    if "is_superuser" in changed and not locked.rights.everything:
        raise NotEnoughPermissions
    if changed.get("is_superuser") is False or changed.get("is_active") is False:
        locked.refuse_if_last_superuser()
    if not changed:
        db.session.commit()
        return user
    edited = profile.write(user.id, changed)
    if edited is None:
        raise NotFound
    _, ended = (0, 0) if edited.is_active else _shut_out(edited)
    _record_edit(edited, changed, actor, sessions_ended=ended)
    db.session.commit()
    return edited


def set_superuser(email: str, is_superuser: bool) -> User:
    """Make the user a superuser or not, from the next request on. Commits.

    Raises ``NotFound`` if nobody has the address, or ``LastSuperuser``.
    """
    return edit(by_email(email).id, {"is_superuser": is_superuser}, actor=None)


def set_active(email: str, is_active: bool) -> User:
    """Let an account log in again, or sign it out everywhere and refuse its logins. Commits.

    Activating does not bring back any session. Raises ``NotFound`` if nobody
    has the address, or ``LastSuperuser``.
    """
    return edit(by_email(email).id, {"is_active": is_active}, actor=None)


def delete(user_id: int, *, actor: Session | None, expected: Expected | None = None) -> None:
    """Erase an account at once. Commits.

    Raises ``NotFound``, ``NotEnoughPermissions``, ``LastSuperuser``, or
    ``PreconditionFailed`` if the account is not as ``expected``.
    """
    locked = authority.lock_account(user_id, USERS_DELETE, actor=actor)
    if expected:
        expected(locked.user)
    locked.refuse_if_last_superuser()
    closing.erase(locked.user, actor=actor)


def end_sessions(user_id: int, *, actor: Session | None) -> None:
    """Sign an account out everywhere, and end the links that were mailed. Commits.

    If there was neither a session nor a link, it records nothing. Raises
    ``NotFound`` or ``NotEnoughPermissions``.
    """
    user = authority.lock_account(user_id, SESSIONS_REVOKE, actor=actor).user
    links, ended = _shut_out(user)
    if links or ended:
        _record(Event.SESSIONS_ENDED, user, actor, sessions_ended=ended)
    db.session.commit()


def end_session(session_id: UUID, *, user_id: int | None = None, actor: Session | None) -> User:
    """Sign one device out, perhaps only if it is of this user. Returns whose it was. Commits.

    Raises ``NotFound`` or ``NotEnoughPermissions``.
    """
    session = db.session.get(Session, session_id)
    if session is None or user_id not in (None, session.user_id):
        raise NotFound
    user = authority.lock_account(session.user_id, SESSIONS_REVOKE, actor=actor).user
    if not sessions.end_where(Session.id == session_id, is_live(clock.now())):
        raise NotFound
    _record(Event.SESSION_ENDED, user, actor, session_id=str(session_id))
    db.session.commit()
    return user


def end_sessions_of_everybody(limit: int, *, begun_by: datetime) -> int:
    """End up to ``limit`` sessions that began by then. Returns how many. Commits."""
    ended = sessions.end_batch(limit, begun_by=begun_by)
    if ended:
        audit.record(Event.SESSIONS_ENDED, subject_id=None, sessions_ended=ended)
    db.session.commit()
    return ended


def end_links_of_everybody(limit: int, *, issued_by: datetime) -> int:
    """End the links that up to ``limit`` people got by then. Returns how many people. Commits."""
    people = one_time_tokens.revoke_batch(limit, issued_by=issued_by)
    db.session.commit()
    return people


def shut_out_of_features(limit: int, *, after: int, known_by: datetime) -> int | None:
    """End what the features have of up to ``limit`` people, like remembered devices. Commits.

    It begins after the id ``after``, and returns the last id, or ``None`` if nobody is left.
    """
    next_ones = select(User.id).where(User.id > after, User.created_at <= known_by)
    ids = db.session.scalars(next_ones.order_by(User.id).limit(limit)).all()
    for user in lock_in_order(User, User.id.in_(ids)):
        credentials.tell_features(user, CredentialChange.SHUT_OUT)
    db.session.commit()
    return ids[-1] if ids else None


def send_reset(user_id: int, *, actor: Session | None) -> None:
    """Mail a link to set a new password. Commits.

    A user who never had a password gets the invitation again. A user who said
    "this wasn't me" has no password either, but has a confirmed address, and
    so gets the link for a new password. Raises ``NotFound`` or
    ``NotEnoughPermissions``.
    """
    user = authority.lock_account(user_id, USERS_WRITE, actor=actor).user
    if is_invited(user):
        _mail_invitation(user, actor)
    else:
        reset.begin(user)
    _record(Event.PASSWORD_RESET_ASKED, user, actor)
    db.session.commit()


def is_invited(user: User) -> bool:
    """Whether nobody has used the account yet, because its owner has to accept an invitation."""
    never_used = user.hashed_password is None and not user.email_verified
    return never_used and not ways_in.has_another_than_password(user.id)


def sessions_of(user_id: int) -> dict[str, Any]:
    """The sessions of a user that are still live. Raises ``NotFound``."""
    return {"items": sessions.live_sessions(_existing(user_id))}


def by_email(email: str) -> User:
    """Raises ``NotFound``."""
    known_as = identifiers.identifier_of(email=email)
    user = db.session.scalar(select(User).where(User.email == known_as.value))
    if user is None:
        raise NotFound
    return user


def _shut_out(user: User) -> tuple[int, int]:
    """Sign all devices out, and end the links that open the account. The caller commits.

    Otherwise somebody who reads the mailbox, or waits to confirm a change of
    address, could come back. The links with which the owner takes the account
    back stay valid. Returns how many links and how many sessions it ended.
    """
    links = credentials.changed(user, CredentialChange.SHUT_OUT)
    return links, sessions.end_all(user.id)


def _existing(user_id: int) -> User:
    user = db.session.get(User, user_id)
    if user is None:
        raise NotFound
    return user


def _mail_invitation(user: User, actor: Session | None) -> None:
    token = one_time_tokens.issue(user.id, Purpose.INVITATION, email=user.email)
    by: dict[str, str] = {}
    if actor:
        by["inviter"] = names.shown_name(actor.user)
        # An address that is not confirmed may be another person's.
        by["inviter_email"] = actor.user.email if actor.user.email_verified else ""
    outbox.queue(messages.invitation, to=user.email, user=user, token=token, **by)


def _record_edit(
    user: User, changed: dict[str, Any], actor: Session | None, *, sessions_ended: int
) -> None:
    """Record flags with their old and new values, and profile fields by their names only."""
    for name, (taken, given) in FLAGS.items():
        if name in changed:
            event = given if changed[name] else taken
            details: dict[str, Any] = {name: {"from": not changed[name], "to": changed[name]}}
            if event is Event.USER_DEACTIVATED:
                details["sessions_ended"] = sessions_ended
            _record(event, user, actor, **details)
    if fields := changed.keys() - FLAGS.keys():
        profile.record_edit(user, fields, actor_id=actor.user_id if actor else None)


def _record(event: Event, user: User, actor: Session | None, **details: Any) -> None:
    audit.record(event, subject_id=user.id, actor_id=actor.user_id if actor else None, **details)
