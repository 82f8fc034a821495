"""What the users calls take and give. A user is a ``UserSchema``."""

from marshmallow import fields

from app import cursors
from app.auth.schemas import RoughInstant, UserSchema
from app.fields import (
    Checked,
    DisplayName,
    Email,
    FewOf,
    Flag,
    FlagParameter,
    HttpUrl,
    Id,
    Instant,
    InstantParameter,
    NumberParameter,
    OneOf,
    PermissionName,
    RoleName,
    Schema,
    Text,
    Username,
)
from app.models.audit_event import AuditEvent
from app.models.user import LOCALES
from app.users.directory import SORTS


class ProfileSchema(Schema):
    """What is left out stays; null clears what may be empty."""

    full_name = DisplayName(max_length=100, allow_none=True)
    bio = Text(max_length=5000, allow_none=True)
    avatar_url = HttpUrl(allow_none=True)
    username = Username()
    locale = OneOf(LOCALES)


def _of_own(name: str) -> fields.Function:
    """Where the subject did it, or nobody knows who: an administrator's address is not theirs."""

    def unless_by_another(event: AuditEvent) -> str | None:
        return getattr(event, name) if event.actor_id in (None, event.subject_id) else None

    return fields.Function(unless_by_another, required=True, metadata={"type": ["string", "null"]})


class DeletionSchema(Schema):
    deletion_due_at = Instant(required=True)


class HeldSessionSchema(Schema):
    id = fields.UUID()
    ip = fields.String(allow_none=True)
    user_agent = fields.String(allow_none=True)
    created_at = Instant()
    last_seen_at = RoughInstant(attribute="refreshed_at")
    expires_at = RoughInstant()
    ended_at = Instant(allow_none=True)


class HeldTokenSchema(Schema):
    """What a mailed link was for; the link itself is not kept."""

    purpose = fields.String()
    email = fields.String(allow_none=True)
    replaced_email = fields.String(allow_none=True)
    created_at = Instant()
    expires_at = Instant()
    used_at = Instant(allow_none=True)


class HeldMailSchema(Schema):
    recipient = fields.String()
    message = fields.String()
    locale = fields.String()
    created_at = Instant()
    delivered_at = Instant(allow_none=True)


class HeldEventSchema(Schema):
    at = Instant()
    event = fields.String()
    ip = _of_own("ip")
    user_agent = _of_own("user_agent")
    request_id = fields.String(allow_none=True)
    details = fields.Dict(attribute="all_details")


class ExportSchema(Schema):
    """Everything held about a user."""

    user = fields.Nested(UserSchema, required=True)
    roles = fields.List(fields.String(), required=True)
    sessions = fields.List(fields.Nested(HeldSessionSchema), required=True)
    one_time_tokens = fields.List(fields.Nested(HeldTokenSchema), required=True)
    mails = fields.List(fields.Nested(HeldMailSchema), required=True)
    audit_events = fields.List(fields.Nested(HeldEventSchema), required=True)


# For administrators


class PageQuerySchema(Schema):
    limit = NumberParameter(least=1, most=100, load_default=20)
    cursor = Checked(
        longest=cursors.MAX_LENGTH, metadata={"description": "`next_cursor` of the page before."}
    )


class UserQuerySchema(PageQuerySchema):
    """Filters that are given must all be met."""

    q = DisplayName(
        max_length=254,
        metadata={"description": "Found in email, username or full name, literally."},
    )
    is_active = FlagParameter()
    is_superuser = FlagParameter()
    email_verified = FlagParameter()
    created_after = InstantParameter(metadata={"description": "Then or later."})
    created_before = InstantParameter(metadata={"description": "Earlier than then."})
    sort = OneOf(SORTS, load_default="id")


class UserPageSchema(Schema):
    items = fields.List(fields.Nested(UserSchema), required=True)
    next_cursor = fields.String(required=True, allow_none=True)


class InvitationSchema(Schema):
    email = Email(required=True)
    username = Username(required=True)
    full_name = DisplayName(max_length=100, allow_none=True)
    is_superuser = Flag(load_default=False)


class AccountSchema(Schema):
    """What is left out stays; null clears what may be empty."""

    full_name = DisplayName(max_length=100, allow_none=True)
    bio = Text(max_length=5000, allow_none=True)
    avatar_url = HttpUrl(allow_none=True)
    username = Username()
    is_active = Flag()
    is_superuser = Flag()


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


class AuditPageSchema(Schema):
    items = fields.List(fields.Nested(AuditEventSchema), required=True)
    next_cursor = fields.String(required=True, allow_none=True)


class ActivitySchema(Schema):
    """What happened to who asks. Where somebody else did it, nothing tells who and from where."""

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
    details = fields.Dict(required=True, attribute="all_details")


class ActivityPageSchema(Schema):
    items = fields.List(fields.Nested(ActivitySchema), required=True)
    next_cursor = fields.String(required=True, allow_none=True)


class RoleSchema(Schema):
    id = fields.Integer(required=True)
    name = fields.String(required=True)
    description = fields.String(required=True, allow_none=True)
    permissions = fields.List(fields.String(), required=True)
    created_at = Instant(required=True)


class RoleListSchema(Schema):
    items = fields.List(fields.Nested(RoleSchema), required=True)


class RolePageSchema(RoleListSchema):
    next_cursor = fields.String(required=True, allow_none=True)


class NewRoleSchema(Schema):
    name = RoleName(required=True)
    description = DisplayName(max_length=200, allow_none=True)
    permissions = FewOf(PermissionName(), load_default=list)


class RoleChangesSchema(Schema):
    """What is left out stays; ``permissions`` are all that it has afterwards."""

    name = RoleName()
    description = DisplayName(max_length=200, allow_none=True)
    permissions = FewOf(PermissionName())


class RolesOfUserSchema(Schema):
    """All that the user has afterwards."""

    roles = FewOf(Id(), required=True)


class PermissionSchema(Schema):
    name = fields.String(required=True)
    description = fields.String(required=True)


class PermissionListSchema(Schema):
    items = fields.List(fields.Nested(PermissionSchema), required=True)
