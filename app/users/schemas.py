"""What the users calls take. What they give is ``UserSchema``."""

from app.fields import DisplayName, HttpUrl, OneOf, Schema, Text, Username
from app.models.user import LOCALES


class ProfileSchema(Schema):
    """What is left out stays; null clears what may be empty."""

    full_name = DisplayName(max_length=100, allow_none=True)
    bio = Text(max_length=5000, allow_none=True)
    avatar_url = HttpUrl(allow_none=True)
    username = Username()
    locale = OneOf(LOCALES)
