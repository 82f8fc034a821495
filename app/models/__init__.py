"""All tables."""

from app.models.audit_check import AuditCheck
from app.models.audit_event import AuditEvent
from app.models.audit_seal import AuditPruning, AuditSeal
from app.models.deployment_warning import DeploymentWarning
from app.models.idempotency_key import IdempotencyKey
from app.models.imported_account import ImportedAccount
from app.models.login_throttle import LoginThrottle
from app.models.one_time_token import OneTimeToken
from app.models.outbox_message import OutboxMessage
from app.models.role import Role, RolePermission
from app.models.session import Session
from app.models.user import User
from app.models.user_role import UserRole

__all__ = [
    "AuditCheck",
    "AuditEvent",
    "AuditPruning",
    "AuditSeal",
    "DeploymentWarning",
    "IdempotencyKey",
    "ImportedAccount",
    "LoginThrottle",
    "OneTimeToken",
    "OutboxMessage",
    "Role",
    "RolePermission",
    "Session",
    "User",
    "UserRole",
]
