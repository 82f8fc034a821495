"""What a user gets to see of the second factors in the export of the account."""

from typing import Any

from marshmallow import fields

from app.database import engines
from app.features import ExportPart
from app.http.fields import Schema


def rows_of(key: str, schema: type[Schema], model: Any) -> ExportPart:
    """A member with the user's rows of a model, read page by page."""

    return ExportPart(
        key,
        fields.List(fields.Nested(schema)),
        lambda user: engines.pages(model, model.user_id == user.id),
    )
