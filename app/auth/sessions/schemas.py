"""The bodies and the query parameters of the calls on sessions."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

from marshmallow import fields

from app.access import guards
from app.access.guards import current_session
from app.auth.schemas import Token
from app.http.fields import Instant, OneOf, Schema, as_rfc_3339
from app.http.parameters import FlagParameter
from app.models import Session
from app.security import devices


class RefreshSchema(Schema):
    refresh_token = Token()


class LogoutQuerySchema(Schema):
    scope = OneOf(("local", "others", "global"), load_default="local")


ROUGHLY = timedelta(minutes=5)


def roughly(value: datetime) -> datetime:
    """The instant, rounded down to five minutes.

    Otherwise a thief with a copy of a token could see when its owner comes
    back, and choose a moment for a refresh that is not detected.
    """
    return value - (value - datetime.min.replace(tzinfo=value.tzinfo)) % ROUGHLY


def in_rough_order(sessions: Iterable[Session]) -> list[Session]:
    """The session that was seen last comes first, as far as the rounded times tell.

    The exact order would tell the second in which a session overtakes another one.
    """
    return sorted(
        sessions, key=lambda one: (roughly(one.refreshed_at), one.created_at), reverse=True
    )


class RoughInstant(Instant):
    """An instant, rounded down to five minutes."""

    def _serialize(self, value: datetime | None, *args: Any, **kwargs: Any) -> str | None:
        return super()._serialize(value and roughly(value), *args, **kwargs)


class CookieQuerySchema(Schema):
    """How a browser asks for a cookie instead of tokens."""

    cookie = FlagParameter(
        load_default=False,
        metadata={
            "description": "For pages of this origin: set a cookie, and answer `session` in place "
            "of tokens."
        },
    )
    remember = FlagParameter(
        load_default=False,
        metadata={"description": "Keep the cookie after the browser is closed."},
    )


def fresh_until_of(session: Session) -> datetime | None:
    return guards.fresh_until() if session.id == current_session().id else None


class DeviceSchema(Schema):
    """A signed-in device, without the times that tell when it was seen."""

    id = fields.UUID(required=True)
    ip = fields.String(required=True, allow_none=True)
    user_agent = fields.String(required=True, allow_none=True)
    device = fields.Function(
        lambda session: devices.name(session.user_agent),
        required=True,
        metadata={
            "type": "string",
            "description": 'A name that people understand, like "Firefox on Linux".',
        },
    )
    created_at = Instant(required=True)
    is_current = fields.Function(
        lambda session: session.id == current_session().id,
        required=True,
        metadata={"type": "boolean"},
    )
    aal = fields.Integer(
        required=True,
        metadata={"description": "2 where a second factor was given.", "enum": [1, 2]},
    )
    amr = fields.Function(
        lambda session: session.amr.split(),
        required=True,
        metadata={"type": "array", "items": {"type": "string"}},
    )
    signed_in_by = fields.String(required=True)
    kind = fields.String(required=True, metadata={"enum": ["token", "cookie"]})
    fresh_until = fields.Function(
        lambda session: as_rfc_3339(fresh_until_of(session)),
        required=True,
        allow_none=True,
        metadata={
            "type": "string",
            "format": "date-time",
            "description": "Until when your login is recent. Null for other sessions.",
        },
    )


class SessionSchema(DeviceSchema):
    """A signed-in device. ``last_seen_at`` is the time of its last login or refresh.

    ``last_seen_at`` and ``expires_at`` are rounded down to five minutes.
    """

    last_seen_at = RoughInstant(required=True, attribute="refreshed_at")
    expires_at = RoughInstant(required=True)


class SessionListSchema(Schema):
    items = fields.List(fields.Nested(SessionSchema), required=True)


class ExactSessionSchema(DeviceSchema):
    """A signed-in device, with exact times for administrators."""

    last_seen_at = Instant(required=True, attribute="refreshed_at")
    expires_at = Instant(required=True)


class ExactSessionListSchema(Schema):
    items = fields.List(fields.Nested(ExactSessionSchema), required=True)


class CookieSessionSchema(Schema):
    """The session that a cookie holds. The answer sets the cookie."""

    session = fields.Nested(SessionSchema, required=True)
