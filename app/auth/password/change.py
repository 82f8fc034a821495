"""A new password for a user who knows the old one."""

from app import audit, clock
from app.audit.vocabulary import Event
from app.auth import credentials
from app.auth.login.authentication import check_password
from app.auth.notices import notify
from app.auth.sessions import refreshing, sessions
from app.auth.sessions.handover import Handover
from app.errors import Message, ValidationFailed
from app.extensions import db
from app.features.credentials import CredentialChange
from app.mail import messages
from app.models import Session
from app.security.passwords import hashing, policy

UNCHANGED = Message("password_unchanged", "Is the same as the current password.")


def change(
    session: Session, current_password: str, new_password: str, *, keep_keys: bool = False
) -> Handover:
    """Change the password of the session's user. Commits.

    The session goes on with what is handed over. Every older token of the
    session, or the earlier secret of its cookie, stops working, because a
    thief may have a copy, and every other session ends. So do the user's API
    keys, unless ``keep_keys``. Raises
    ``WrongPassword``, ``ValidationFailed``, or ``SessionEnded`` if the session
    was ended, or the password was changed, while the passwords were hashed.
    """
    check_password(session.user, current_password)
    if policy.are_same(current_password, new_password):
        raise ValidationFailed([UNCHANGED.at(["new_password"])])
    policy.refuse_like_identity(new_password, session.user, field="new_password")
    hashed_password = hashing.hash(new_password)

    # Hashing took a while. A request that rescues or stops an account writes to the user first and
    # ends its sessions next, so under this lock the session shows it. A stored hash that has
    # changed does not show it: a login may have stored a newer kind of hash.
    user = sessions.lock_user(session)
    user.hashed_password, user.updated_at = hashed_password, clock.now()
    # Where the second step is on, only a second factor makes a session fresh.
    is_fresh = user.second_step_at is None
    renewed = refreshing.renew(session, is_fresh=is_fresh)
    credentials.changed(
        user,
        CredentialChange.PASSWORD_CHANGED_KEYS_KEPT
        if keep_keys
        else CredentialChange.PASSWORD_CHANGED,
    )
    ended = sessions.end_others(session)
    notify(messages.password_changed, user)
    audit.record(Event.PASSWORD_CHANGED, subject_id=user.id, actor_id=user.id, sessions_ended=ended)
    db.session.commit()
    return Handover(renewed, is_fresh)
