"""Fields of accounts."""

from typing import Any

from marshmallow import ValidationError

from app.errors import Message
from app.http.fields import Text
from app.security import identifiers
from app.security.passwords import policy


class Email(Text):
    """A new address for an account, in its canonical form."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(
            max_length=identifiers.MAX_EMAIL_LENGTH, metadata={"format": "email"}, **kwargs
        )

    def _deserialize(self, value: Any, *args: Any, **kwargs: Any) -> str:
        try:
            return identifiers.canonical_new_email(super()._deserialize(value, *args, **kwargs))
        except identifiers.InvalidEmail:
            raise ValidationError(
                Message("invalid_email", "Is not an email address that mail can be sent to.")
            ) from None


class Username(Text):
    """A username in NFC. Only operators may use ``allow_reserved``."""

    def __init__(self, *, allow_reserved: bool = False, **kwargs: Any) -> None:
        self.allow_reserved = allow_reserved
        document = {
            "format": "username",
            "minLength": identifiers.MIN_USERNAME_LENGTH,
            "maxLength": identifiers.MAX_USERNAME_LENGTH,
            "description": "Letters and digits of one script, with . _ - only inside.",
        }
        super().__init__(
            max_length=identifiers.MAX_RAW_USERNAME_LENGTH, metadata=document, **kwargs
        )

    def _too_long(self, value: str) -> str:
        raise ValidationError(identifiers.LENGTH)

    def _deserialize(self, value: Any, *args: Any, **kwargs: Any) -> str:
        text = super()._deserialize(value, *args, **kwargs)
        try:
            username = identifiers.canonical_username(text)
        except identifiers.InvalidUsername as error:
            raise ValidationError(error.message) from None
        if not self.allow_reserved and identifiers.is_reserved(username):
            raise ValidationError(Message("username_reserved", "This name is reserved."))
        return username


class NewPassword(Text):
    """A new password. It must satisfy the password policy."""

    def __init__(self, **kwargs: Any) -> None:
        document = {"format": "password", "minLength": 8, "maxLength": policy.MAX_LENGTH}
        super().__init__(
            max_length=policy.MAX_RAW_LENGTH, load_only=True, metadata=document, **kwargs
        )

    def _too_long(self, value: str) -> str:
        raise ValidationError(policy.TOO_LONG)

    def _deserialize(self, value: Any, *args: Any, **kwargs: Any) -> str:
        password = super()._deserialize(value, *args, **kwargs)
        if flaw := policy.flaw(password):
            raise ValidationError(flaw)
        return password
