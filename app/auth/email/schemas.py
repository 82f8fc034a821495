"""The body of a change of address."""

from app.auth.fields import Email
from app.http.fields import Schema


class NewAddressSchema(Schema):
    new_email = Email(required=True)
