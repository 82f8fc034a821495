"""Protecting an account whose owner says "this wasn't me"."""

from app import audit, clock
from app.audit.vocabulary import Event
from app.auth import credentials, deletion
from app.auth.password import reset
from app.auth.sessions import sessions
from app.database.rows import change
from app.errors import InvalidLink
from app.extensions import db
from app.features.credentials import CredentialChange
from app.models import User
from app.security import one_time_tokens
from app.security.one_time_tokens import Purpose


def repudiate(token: str) -> None:
    """Sign every device out, call a deletion off, and mail a link for a new password. Commits.

    The password is removed, because somebody else may know it and could log in
    again before the owner has read the mail. Only the link sets a new one.
    Raises ``InvalidLink``.
    """
    found = one_time_tokens.read(token, Purpose.NOT_ME)
    safe = (
        change(User)
        .where(User.id == found.user_id)
        .values(hashed_password=None, updated_at=clock.now())
        .returning(User)
    )
    user = db.session.scalar(safe)
    if user is None:
        # The account was erased after the link was read.
        raise InvalidLink
    one_time_tokens.redeem(found)
    credentials.changed(user, CredentialChange.REPUDIATED)
    deletion.cancel_deletion(user.id, actor_id=None)
    ended = sessions.end_all(user.id)
    # The mail goes to the present address. An old mailbox must not get a link that opens the
    # account. An owner whose address was changed has the link that undoes the change.
    reset.begin_recovery(user)
    audit.record(Event.ACCOUNT_REPUDIATED, subject_id=user.id, sessions_ended=ended)
    db.session.commit()
