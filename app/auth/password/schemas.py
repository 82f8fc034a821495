"""The bodies of the calls on passwords."""

from app.auth.fields import NewPassword
from app.auth.schemas import CheckedPassword, Token
from app.http.fields import Schema


class PasswordChangeSchema(Schema):
    current_password = CheckedPassword(required=True)
    new_password = NewPassword(required=True)


class PasswordResetSchema(Schema):
    token = Token(required=True)
    new_password = NewPassword(required=True)
