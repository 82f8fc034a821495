"""What the calls of administrators take and give."""

from marshmallow import fields

from app.administration.directory import SORTS
from app.auth.fields import Email, Username
from app.auth.schemas import UserSchema
from app.http.fields import DisplayName, Flag, HttpUrl, OneOf, Schema, Text
from app.http.parameters import FlagParameter, InstantParameter, PageQuerySchema


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
