"""What a user gets to see of the second factors in the export of the account."""

from collections.abc import Callable, Iterator
from typing import Any

from marshmallow import fields

from app.database import engines
from app.features import ExportPart
from app.http.fields import Schema
from app.models import User


def rows_of(key: str, schema: type[Schema], model: Any) -> ExportPart:
    """A member with the user's rows of a model, read page by page."""

    def rows(user: User) -> Iterator[Any]:
        # The engine is found now, because the answer is written when the request is over.
        return engines.pages(model, model.user_id == user.id)

    held: Callable[[User], Any] = rows
    return ExportPart(key, fields.List(fields.Nested(schema)), held)
