"""An account whose owner asked to have it erased."""

from app import audit
from app.audit.vocabulary import Event
from app.database.rows import change
from app.extensions import db
from app.models import User


def cancel_deletion(user_id: int, *, actor_id: int | None) -> None:
    """Keep the account if it waits to be erased. The caller commits."""
    call = (
        change(User)
        .where(User.id == user_id, User.deletion_due_at.is_not(None))
        .values(deletion_due_at=None)
        .returning(User.id)
    )
    if db.session.scalar(call) is not None:
        audit.record(Event.DELETION_CALLED_OFF, subject_id=user_id, actor_id=actor_id)
