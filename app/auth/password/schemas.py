"""The bodies of the calls on passwords."""

from app.auth.fields import NewPassword
from app.auth.schemas import CheckedPassword, Token
from app.http.fields import Flag, Schema


class PasswordChangeSchema(Schema):
    current_password = CheckedPassword(required=True)
    new_password = NewPassword(required=True)
    keep_keys = Flag(metadata={"description": "Whether your API keys go on working."})


class PasswordResetSchema(Schema):
    token = Token(required=True)
    new_password = NewPassword(required=True)
