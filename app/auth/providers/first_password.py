"""A password for an account that has none, because a provider or a passkey made it."""

from app import audit, clock
from app.auth import credentials
from app.auth.notices import notify
from app.auth.providers import events, messages
from app.auth.providers.errors import PasswordExists
from app.auth.sessions import sessions
from app.extensions import db
from app.features.credentials import CredentialChange
from app.models import Session
from app.security.passwords import hashing, policy


def set_first(session: Session, new_password: str) -> None:
    """Set the first password of the session's user, who stays signed in. Commits.

    Raises ``PasswordExists``, ``ValidationFailed``, or ``SessionEnded``.
    """
    if session.user.hashed_password is not None:
        raise PasswordExists
    policy.refuse_like_identity(new_password, session.user, field="new_password")
    hashed_password = hashing.hash(new_password)

    user = sessions.lock_user(session)
    if user.hashed_password is not None:
        # Another request was faster.
        db.session.rollback()
        raise PasswordExists
    user.hashed_password, user.updated_at = hashed_password, clock.now()
    credentials.changed(user, CredentialChange.PASSWORD_CHANGED_KEYS_KEPT)
    notify(messages.password_set, user)
    audit.record(events.PASSWORD_SET, subject_id=user.id, actor_id=user.id)
    db.session.commit()
