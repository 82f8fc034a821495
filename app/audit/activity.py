"""Reading the audit log, the newest event first."""

from sqlalchemy import select

from app.database import pages
from app.database.pages import Key, Order, Page
from app.models import AuditEvent

NEWEST_FIRST = Order((Key("id", AuditEvent.id),), descending=True)


def of_everybody(*, limit: int, cursor: str | None = None) -> Page[AuditEvent]:
    """Return a page of all events. Raises ``ValidationFailed``."""
    return pages.page(
        select(AuditEvent), NEWEST_FIRST, {"list": "audit"}, limit=limit, cursor=cursor
    )


def about(user_id: int, *, limit: int, cursor: str | None = None) -> Page[AuditEvent]:
    """Return a page of what happened to one user. Raises ``ValidationFailed``.

    The user may have been erased since.
    """
    rows = select(AuditEvent).where(AuditEvent.subject_id == user_id)
    query = {"list": "audit", "subject": user_id}
    return pages.page(rows, NEWEST_FIRST, query, limit=limit, cursor=cursor)
