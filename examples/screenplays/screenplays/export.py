"""The parts of ``GET /users/me/export`` about screenplays."""

from collections.abc import Iterator, Sequence
from itertools import chain
from typing import Any

from marshmallow import fields
from sqlalchemy import or_, select
from sqlalchemy.orm import joinedload

from app.database import engines
from app.extensions import db
from app.features import ExportPart
from app.http.fields import Instant, Schema
from app.models import User
from screenplays import people
from screenplays.models import Person, Screenplay, Version


class OwnSchema(Schema):
    id = fields.Integer(required=True)
    title = fields.String(required=True)
    logline = fields.String(required=True)
    text = fields.String(required=True)
    created_at = Instant(required=True)
    changed_at = Instant(required=True)


class MembershipSchema(Schema):
    screenplay_id = fields.Integer(required=True)
    title = fields.String(required=True, attribute="screenplay.title")
    role = fields.String(required=True)
    invited_at = Instant(required=True)
    accepted_at = Instant(required=True, allow_none=True)


class SavedSchema(Schema):
    screenplay_id = fields.Integer(required=True)
    number = fields.Integer(required=True)
    saved_at = Instant(required=True)


def _own(user: User) -> Iterator[Screenplay]:
    """One after the other, as each has a text of up to 400,000 characters."""
    mine = select(Screenplay.id).where(Screenplay.owner_id == user.id).order_by(Screenplay.id)
    each = [
        engines.pages(Screenplay, Screenplay.id == one, Screenplay.owner_id == user.id)
        for one in db.session.scalars(mine)
    ]
    return chain.from_iterable(each)


def _memberships(user: User) -> Sequence[Person]:
    mine = select(Person).where(or_(Person.user_id == user.id, people.is_for(user)))
    # Anybody can invite the user to long screenplays, of which this shows the title.
    without_text = joinedload(Person.screenplay).defer(Screenplay.text)
    return db.session.scalars(mine.options(without_text).order_by(Person.id)).all()


def _saved(user: User) -> Sequence[Any]:
    columns = (Version.screenplay_id, Version.number, Version.saved_at)
    mine = select(*columns).where(Version.author_id == user.id)
    return db.session.execute(mine.order_by(Version.screenplay_id, Version.number)).all()


PARTS = [
    ExportPart("screenplays", fields.List(fields.Nested(OwnSchema)), _own),
    ExportPart("screenplays_shared", fields.List(fields.Nested(MembershipSchema)), _memberships),
    ExportPart("screenplays_saved", fields.List(fields.Nested(SavedSchema)), _saved),
]
