"""What the calls take and return."""

import re
from typing import Any

from marshmallow import ValidationError, fields

from app.errors import Message
from app.http.fields import DisplayName, Flag, Instant, Line, OneOf, Schema, Text
from app.http.parameters import PageQuerySchema, page_of
from app.security import identifiers
from screenplays import library
from screenplays.access import GIVEN


class InvitedName(DisplayName):
    """A username, or an email address that mail can be sent to."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(max_length=identifiers.MAX_EMAIL_LENGTH, **kwargs)

    def _deserialize(self, value: Any, *args: Any, **kwargs: Any) -> str:
        name = super()._deserialize(value, *args, **kwargs).strip()
        try:
            if "@" in name:
                return identifiers.canonical_email(name)
            return identifiers.canonical_username(name)
        except ValueError:
            raise ValidationError(
                Message("invalid_name", "Is not a username, and not an email address.")
            ) from None


class ScreenplayText(Text):
    """A text in Fountain. Each of its lines may be a scene, and takes time to show."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(max_length=library.MAX_TEXT, **kwargs)

    def _deserialize(self, value: Any, *args: Any, **kwargs: Any) -> str:
        text = super()._deserialize(value, *args, **kwargs)
        if len(re.findall(r"\r\n?|\n", text)) >= library.MAX_LINES:
            raise ValidationError(
                Message(
                    "too_many_lines", "Must have at most %(most)d lines.", most=library.MAX_LINES
                )
            )
        return text


class ScreenplayChangesSchema(Schema):
    title = Line(max_length=200)
    logline = DisplayName(max_length=500)
    text = ScreenplayText()


class NewScreenplaySchema(ScreenplayChangesSchema):
    title = Line(max_length=200, required=True)


class SavedScreenplaySchema(ScreenplayChangesSchema):
    amends = Flag(
        metadata={
            "description": "Whether this replaces the last version, if you saved that. Programs "
            "that save by themselves would fill the list of versions otherwise."
        }
    )


class ListedScreenplaySchema(Schema):
    id = fields.Integer(required=True, attribute="screenplay.id")
    title = fields.String(required=True, attribute="screenplay.title")
    logline = fields.String(required=True, attribute="screenplay.logline")
    owner = fields.String(required=True, attribute="screenplay.owner.username")
    # What the caller may do: "owner", "editor", "reader", or null for those with the permission.
    role = fields.String(required=True, allow_none=True)
    version = fields.Integer(required=True, attribute="screenplay.version")
    changed_at = Instant(required=True, attribute="screenplay.changed_at")


class ScreenplaySchema(ListedScreenplaySchema):
    text = fields.String(required=True, attribute="screenplay.text")
    created_at = Instant(required=True, attribute="screenplay.created_at")


class SearchSchema(PageQuerySchema):
    q = Text(max_length=200, metadata={"description": "A part of the title or the logline."})


class VersionSchema(Schema):
    number = fields.Integer(required=True)
    title = fields.String(required=True)
    # Null if the account of the author is erased.
    author = fields.String(required=True, allow_none=True, attribute="author_name")
    saved_at = Instant(required=True)


class WholeVersionSchema(VersionSchema):
    logline = fields.String(required=True)
    text = fields.String(required=True)


class SceneSchema(Schema):
    number = fields.String(required=True)
    heading = fields.String(required=True)
    page = fields.Integer(required=True)
    pages = fields.Float(required=True, metadata={"description": "In eighths of a page."})


class ScenesSchema(Schema):
    pages = fields.Integer(required=True)
    items = fields.List(fields.Nested(SceneSchema), required=True)


class RoleSchema(Schema):
    role = OneOf(GIVEN, required=True)


class NewPersonSchema(RoleSchema):
    name = InvitedName(required=True, metadata={"description": "A username or an email address."})


class PersonSchema(Schema):
    id = fields.Integer(required=True)
    # Before the invitation is accepted, what the owner typed. Afterwards the username.
    name = fields.String(required=True)
    role = fields.String(required=True)
    invited_at = Instant(required=True)
    accepted_at = Instant(required=True, allow_none=True)


class PeopleSchema(Schema):
    items = fields.List(fields.Nested(PersonSchema), required=True)


class InvitationSchema(Schema):
    id = fields.Integer(required=True)
    title = fields.String(required=True, attribute="screenplay.title")
    owner = fields.String(required=True, attribute="screenplay.owner.username")
    role = fields.String(required=True)
    invited_at = Instant(required=True)


class InvitationsSchema(Schema):
    items = fields.List(fields.Nested(InvitationSchema), required=True)


ScreenplayPageSchema = page_of(ListedScreenplaySchema, "ScreenplayPage")
VersionPageSchema = page_of(VersionSchema, "ScreenplayVersionPage")
