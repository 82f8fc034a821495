"""The bodies and the query parameters of the calls of administrators."""

from app.administration.directory import SORTS
from app.auth.fields import Email, Username
from app.auth.schemas import UserSchema
from app.http.fields import DisplayName, Flag, HttpUrl, OneOf, Schema, Text
from app.http.parameters import FlagParameter, InstantParameter, PageQuerySchema, page_of


class UserQuerySchema(PageQuerySchema):
    """An account is listed if it matches every filter that is given."""

    q = DisplayName(
        max_length=254,
        metadata={"description": "A text in the email address, the username or the full name."},
    )
    is_active = FlagParameter()
    is_superuser = FlagParameter()
    email_verified = FlagParameter()
    second_step = FlagParameter()
    created_after = InstantParameter(metadata={"description": "Made at this time or later."})
    created_before = InstantParameter(metadata={"description": "Made earlier than this."})
    sort = OneOf(SORTS, load_default="id")


UserPageSchema = page_of(UserSchema, "UserPage")


class InvitationSchema(Schema):
    email = Email(required=True)
    username = Username(required=True)
    full_name = DisplayName(max_length=100, allow_none=True)
    is_superuser = Flag(load_default=False)


class AccountSchema(Schema):
    """A field that is left out does not change; null clears a field that may be empty."""

    full_name = DisplayName(max_length=100, allow_none=True)
    bio = Text(max_length=5000, allow_none=True)
    avatar_url = HttpUrl(allow_none=True)
    username = Username()
    is_active = Flag()
    is_superuser = Flag()
