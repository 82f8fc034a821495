"""The bodies of the calls on API keys."""

from typing import Any

from marshmallow import ValidationError, fields

from app.access import scopes
from app.api_keys import networks
from app.api_keys.errors import NO_SCOPES, NOT_A_NETWORK, UNKNOWN_SCOPE
from app.api_keys.settings import MOST_DAYS
from app.http.fields import FewOf, Instant, Line, Schema, Text, WholeNumber

LONGEST_OVERLAP = 24 * 60 * 60
MOST_NETWORKS = 20


class ScopeName(Text):
    """A permission, or a scope for one's own things."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(max_length=50, metadata={"format": "scope"}, **kwargs)

    def _deserialize(self, value: Any, *args: Any, **kwargs: Any) -> str:
        name = super()._deserialize(value, *args, **kwargs)
        if name not in {scope.name for scope in scopes.known()}:
            raise ValidationError(UNKNOWN_SCOPE)
        return name


class NetworkField(Text):
    """A network in CIDR notation. An address alone is a network, too."""

    def __init__(self, **kwargs: Any) -> None:
        document = {"format": "network", "examples": ["203.0.113.0/24"]}
        super().__init__(max_length=50, metadata=document, **kwargs)

    def _deserialize(self, value: Any, *args: Any, **kwargs: Any) -> str:
        try:
            return networks.canonical(super()._deserialize(value, *args, **kwargs))
        except ValueError:
            raise ValidationError(NOT_A_NETWORK) from None


class NetworkList(FewOf):
    """At most 20 networks. None of them means that the key works from anywhere."""

    MOST = MOST_NETWORKS

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(NetworkField(), **kwargs)


class ScopeList(FewOf):
    """At least one scope."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(ScopeName(), metadata={"minItems": 1}, **kwargs)

    def _deserialize(self, value: Any, *args: Any, **kwargs: Any) -> list[Any]:
        found = super()._deserialize(value, *args, **kwargs)
        if not found:
            raise ValidationError(NO_SCOPES)
        return found


class NewKeySchema(Schema):
    name = Line(required=True, max_length=100)
    scopes = ScopeList(required=True)
    expires_in_days = WholeNumber(1, MOST_DAYS)
    networks = NetworkList()


class KeyChangesSchema(Schema):
    name = Line(max_length=100)
    networks = NetworkList()


class RotationSchema(Schema):
    overlap_seconds = WholeNumber(0, LONGEST_OVERLAP)


class KeySchema(Schema):
    """An API key, without the key itself."""

    id = fields.UUID(required=True)
    name = fields.String(required=True)
    prefix = fields.String(
        required=True, metadata={"description": "How it begins, such as `us_4fQz`."}
    )
    last4 = fields.String(
        required=True, metadata={"description": "The last four characters before its checksum."}
    )
    scopes = fields.List(fields.String(), required=True)
    networks = fields.List(
        fields.String(),
        required=True,
        metadata={"description": "From where it works; from anywhere if there are none."},
    )
    created_at = Instant(required=True)
    expires_at = Instant(required=True)
    last_used_at = Instant(required=True, allow_none=True)
    last_used_ip = fields.String(required=True, allow_none=True)


class MadeKeySchema(KeySchema):
    key = fields.String(required=True, metadata={"description": "The key. It is shown this once."})


class KeyListSchema(Schema):
    items = fields.List(fields.Nested(KeySchema), required=True)
