"""Every table."""

from app.models.audit_event import AuditEvent
from app.models.audit_seal import AuditPruning, AuditSeal
from app.models.one_time_token import OneTimeToken
from app.models.outbox_message import OutboxMessage
from app.models.session import Session
from app.models.user import User

__all__ = [
    "AuditEvent",
    "AuditPruning",
    "AuditSeal",
    "OneTimeToken",
    "OutboxMessage",
    "Session",
    "User",
]
