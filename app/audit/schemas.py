"""The schemas of the calls about the audit log."""

from typing import Any

from marshmallow import fields

from app.http.fields import Instant, Schema
from app.http.parameters import page_of
from app.models.audit_event import AuditEvent


def _of_own(name: str) -> fields.Function:
    """A field that is shown if the subject did it, or if the actor is not known.

    Users must not see the address or program of an administrator or an operator.
    """

    def unless_by_another(event: AuditEvent) -> str | None:
        if event.details.get("via") == "cli" or event.actor_id not in (None, event.subject_id):
            return None
        value: str | None = getattr(event, name)
        return value

    return fields.Function(unless_by_another, required=True, metadata={"type": ["string", "null"]})


def _details_of_own(*, required: bool = False) -> fields.Function:
    """The details without the name of an operator."""

    def without_operator(event: AuditEvent) -> dict[str, Any]:
        return {name: value for name, value in event.all_details.items() if name != "operator"}

    kind = {"type": "object", "additionalProperties": {}}
    return fields.Function(without_operator, required=required, metadata=kind)


class AuditEventSchema(Schema):
    id = fields.Integer(required=True)
    at = Instant(required=True)
    event = fields.String(required=True)
    actor_id = fields.Integer(required=True, allow_none=True)
    subject_id = fields.Integer(required=True, allow_none=True)
    ip = fields.String(required=True, allow_none=True)
    user_agent = fields.String(required=True, allow_none=True)
    request_id = fields.String(required=True, allow_none=True)
    details = fields.Dict(required=True, attribute="all_details")


AuditPageSchema = page_of(AuditEventSchema, "AuditPage")


class ActivitySchema(Schema):
    """What happened to the user who asks.

    If somebody else did it, the answer does not say who, and not from where.
    """

    id = fields.Integer(required=True)
    at = Instant(required=True)
    event = fields.String(required=True)
    by_you = fields.Function(
        lambda event: event.actor_id == event.subject_id,
        required=True,
        metadata={"type": "boolean"},
    )
    ip = _of_own("ip")
    user_agent = _of_own("user_agent")
    details = _details_of_own(required=True)


ActivityPageSchema = page_of(ActivitySchema, "ActivityPage")
