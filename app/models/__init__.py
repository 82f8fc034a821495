"""Every table."""

from app.models.audit_event import AuditEvent
from app.models.session import Session
from app.models.user import User

__all__ = ["AuditEvent", "Session", "User"]
