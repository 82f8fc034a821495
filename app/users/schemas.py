"""The bodies of the calls under ``/users``. A user is a ``UserSchema``."""

from app.auth.fields import Username
from app.http.fields import DisplayName, HttpUrl, Instant, OneOf, Schema, Text
from app.http.languages import LOCALES


class ProfileSchema(Schema):
    """A field that is left out does not change; null clears a field that may be empty."""

    full_name = DisplayName(max_length=100, allow_none=True)
    bio = Text(max_length=5000, allow_none=True)
    avatar_url = HttpUrl(allow_none=True)
    username = Username()
    locale = OneOf(LOCALES)


class DeletionSchema(Schema):
    deletion_due_at = Instant(required=True)
