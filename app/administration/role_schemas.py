"""The bodies of the calls on roles."""

import re
from typing import Any

from marshmallow import ValidationError, fields

from app.access import permissions
from app.errors import Message
from app.http.fields import DisplayName, FewOf, Flag, Id, Instant, Schema, Text
from app.http.parameters import page_of

MFA = "Whether the permissions count only in a session with a second factor."


class RoleName(Text):
    """The name of a role. It is easy to type in a shell."""

    PATTERN = "^[a-z0-9]+([._-][a-z0-9]+)*$"

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(
            max_length=50, metadata={"pattern": self.PATTERN, "minLength": 1}, **kwargs
        )

    def _deserialize(self, value: Any, *args: Any, **kwargs: Any) -> str:
        name = super()._deserialize(value, *args, **kwargs)
        if not re.fullmatch(self.PATTERN.strip("^$"), name):
            raise ValidationError(
                Message(
                    "invalid_name",
                    "Must consist of lower-case letters and digits, with . _ - only inside.",
                )
            )
        return name


class PermissionName(Text):
    """A permission that some part of the application has declared."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(metadata={"format": "permission"}, **kwargs)

    def _deserialize(self, value: Any, *args: Any, **kwargs: Any) -> str:
        name = super()._deserialize(value, *args, **kwargs)
        if not permissions.is_declared(name):
            raise ValidationError(Message("unknown_permission", "There is no such permission."))
        return name


class RoleSchema(Schema):
    id = fields.Integer(required=True)
    name = fields.String(required=True)
    description = fields.String(required=True, allow_none=True)
    permissions = fields.List(fields.String(), required=True)
    require_mfa = fields.Boolean(required=True)
    created_at = Instant(required=True)


class RoleListSchema(Schema):
    items = fields.List(fields.Nested(RoleSchema), required=True)


RolePageSchema = page_of(RoleSchema, "RolePage")


class NewRoleSchema(Schema):
    name = RoleName(required=True)
    description = DisplayName(max_length=200, allow_none=True)
    permissions = FewOf(PermissionName(), load_default=list)
    require_mfa = Flag(metadata={"description": MFA})


class RoleChangesSchema(Schema):
    """A field that is left out does not change. ``permissions`` replaces the whole list."""

    name = RoleName()
    description = DisplayName(max_length=200, allow_none=True)
    permissions = FewOf(PermissionName())
    require_mfa = Flag(metadata={"description": MFA})


class RolesOfUserSchema(Schema):
    """``roles`` replaces the whole list of the user."""

    roles = FewOf(Id(), required=True)


class PermissionSchema(Schema):
    name = fields.String(required=True)
    description = fields.String(required=True)


class PermissionListSchema(Schema):
    items = fields.List(fields.Nested(PermissionSchema), required=True)
