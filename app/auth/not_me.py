"""What becomes of an account whose owner says "this wasn't me"."""

from sqlalchemy import update

from app import clock
from app.auth import password_reset, sessions
from app.extensions import db
from app.models import User
from app.models.one_time_token import Purpose
from app.security import one_time_tokens


def repudiate(token: str) -> None:
    """Sign every device out, call a deletion off, and mail a link for a new password. Commits.

    Raises ``InvalidLink``.
    """
    found = one_time_tokens.read(token, Purpose.NOT_ME)
    user = found.user
    safe = (
        update(User)
        .where(User.id == user.id)
        .values(deletion_due_at=None, updated_at=clock.now())
        .execution_options(synchronize_session=False)
    )
    db.session.execute(safe)
    one_time_tokens.redeem(found)
    one_time_tokens.revoke_all(user)
    sessions.end_all(user.id)
    # Whoever got the notice is told, even where the account's address was changed since.
    password_reset.begin(user, to=found.email)
    db.session.commit()
