"""A fresh access token for a signed-in user who gives the password again."""

from app import audit
from app.audit.vocabulary import Event
from app.auth.login.authentication import check_password
from app.auth.sessions import sessions
from app.extensions import db
from app.models import Session
from app.security import tokens
from app.security.tokens import FreshAccess


def reauthenticate(session: Session, password: str) -> FreshAccess:
    """A fresh access token for a session whose user gives the password again. Commits.

    Raises ``WrongPassword``, which does not end the session, ``RateLimited``,
    or ``SessionEnded`` if the session was ended while the password was compared.
    """
    check_password(session.user, password)
    user = sessions.lock_user(session)
    audit.record(
        Event.REAUTHENTICATED, subject_id=user.id, actor_id=user.id, session_id=str(session.id)
    )
    db.session.commit()
    return tokens.fresh_access_for(session)
