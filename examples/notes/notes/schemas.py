"""What the calls take and return."""

from marshmallow import fields

from app.http.fields import Schema, Text


class NewNoteSchema(Schema):
    text = Text(required=True, max_length=500)


class NoteSchema(Schema):
    id = fields.Integer(required=True)
    text = fields.String(required=True)


class NotesSchema(Schema):
    items = fields.List(fields.Nested(NoteSchema), required=True)
