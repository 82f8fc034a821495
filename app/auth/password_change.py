"""A new password for who knows the old one."""

from sqlalchemy import update

from app import audit, clock
from app.auth import sessions
from app.auth.authentication import check_password
from app.auth.notices import notify
from app.errors import Message, ValidationFailed, WrongPassword
from app.extensions import db
from app.mail import messages
from app.models import Session, User
from app.models.audit_event import Event
from app.security import one_time_tokens, passwords

UNCHANGED = Message("password_unchanged", "Is the password that you have already.")


def change(session: Session, current_password: str, new_password: str) -> None:
    """Change the password of the session's user, and sign the other devices out. Commits.

    Raises ``WrongPassword``, also for all but the first of several changes
    at once, or ``ValidationFailed``.
    """
    user = session.user
    check_password(user, current_password)
    if passwords.are_same(current_password, new_password):
        raise ValidationFailed([UNCHANGED.at(["new_password"])])
    passwords.refuse_like_identity(new_password, user, field="new_password")
    hashed_password = passwords.hash(new_password)

    replacement = (
        update(User)
        .where(User.id == user.id, User.hashed_password == user.hashed_password)
        .values(hashed_password=hashed_password, updated_at=clock.now())
        .returning(User.id)
        .execution_options(synchronize_session=False)
    )
    if db.session.scalar(replacement) is None:
        db.session.rollback()
        raise WrongPassword
    one_time_tokens.revoke_all(user)
    ended = sessions.end_others(session)
    notify(messages.password_changed, user)
    audit.record(Event.PASSWORD_CHANGED, subject_id=user.id, actor_id=user.id, sessions_ended=ended)
    db.session.commit()
