"""The pages of the audit log."""

import re
from collections.abc import Iterator, Mapping
from datetime import datetime
from itertools import islice
from typing import Any

from flask import Response, current_app, request
from flask_babel import gettext
from marshmallow import ValidationError

from app.access.guards import (
    current_rights,
    current_session,
    fresh_until,
    freshly_permitted,
    permitted,
)
from app.access.limits import limited_writes
from app.access.permissions import AUDIT_READ, USERS_READ, Rights
from app.administration import directory
from app.audit import activity, checks, exporting, vocabulary
from app.database.pages import Page
from app.errors import Message, NotFound, ValidationFailed
from app.http import addresses
from app.http.fields import Checked, Schema
from app.http.parameters import InstantParameter, PageQuerySchema
from app.models import AuditEvent
from app.pages import forms
from app.pages.admin import event_sentences
from app.pages.admin.showing import render_admin
from app.pages.forms import EMPTY, Form, takes_form
from app.pages.page import HEADERS, Pages

bp = Pages("admin_audit", __name__)

PATH = "/admin/audit"
PEOPLE, TIMES = ("subject", "actor"), ("since", "until")
FILTERS = (*PEOPLE, "event", *TIMES, "ip", "request_id")
# What browsers send for a time, and for a day.
MINUTE = re.compile(r"([0-9]{4}-[0-9]{2}-[0-9]{2})(T[0-9]{2}:[0-9]{2})?(:[0-9]{2})?")
LINES_AT_ONCE = 100
NOTHING: Page[AuditEvent] = Page([], None)

NOBODY = Message("unknown_person", "Nobody has this email address or username.")
ONLY_NUMBERS = Message(
    "number_needed", "Give the number of the account, because you may not look people up."
)
NO_ADDRESS = Message("invalid_address", "Is not a network address like 203.0.113.7.")

# What a check of the log can find: its kind, and what it means.
FOUND = {
    "edited": "An event was changed after it was sealed.",
    "removed": "An event was removed after it was sealed.",
    "reordered": "Events or seals changed places.",
    "backdated": "The time of an event is earlier than its place in the log.",
    "dated_ahead": "The time of an event is later than that of its seal.",
    "inserted": "An event was inserted by hand.",
    "unsealed": "An event has waited for its seal for over an hour.",
    "seal_edited": "A seal does not follow from the one before.",
    "seal_removed": "Seals were removed.",
    "pruning_unexplained": "Events were deleted that are not old enough for it.",
    "personal_altered": "A network address or a name in an event was changed.",
    "personal_removed": "A network address or a name is gone, but nobody was erased.",
    "head_missing": "The log is not the one whose head was kept elsewhere.",
}


class Address(Checked):
    """A network address, in the form in which the log has it."""

    def _deserialize(self, value: Any, *args: Any, **kwargs: Any) -> str:
        address = addresses.parse(super()._deserialize(value, *args, **kwargs))
        if address is None:
            raise ValidationError(NO_ADDRESS)
        return str(address)


class Moment(InstantParameter):
    """An instant, or what the fields of a browser send: a day or a minute. Both are in UTC."""

    def _deserialize(self, value: Any, *args: Any, **kwargs: Any) -> datetime:
        found = MINUTE.fullmatch(value)
        text = f"{found[1]}{found[2] or 'T00:00'}{found[3] or ':00'}Z" if found else value
        return super()._deserialize(text, *args, **kwargs)


class EventQuerySchema(PageQuerySchema):
    """An event is listed if it fits everything that is given."""

    subject = Checked(longest=254)
    actor = Checked(longest=254)
    event = Checked(longest=vocabulary.MAX_NAME_LENGTH)
    since = Moment()
    until = Moment()
    ip = Address(longest=50)
    request_id = Checked(longest=64)


class ExportSchema(Schema):
    # Not `since`, which is a field of the search on the same page.
    sealed_since = Moment()


@bp.get(PATH)
@permitted(AUDIT_READ)
def audit_page() -> Response:
    return show(EMPTY)


def show(refused: Form) -> Response:
    """The list, also when an export was refused."""
    rights = current_rights()
    # A browser sends the fields that are empty, too.
    sent = {} if refused.is_refused else {name: text for name, text in request.args.items() if text}
    shown = {name: _shown(name, text) for name, text in sent.items()}
    people: dict[str, int] = {}
    try:
        query = forms.loaded(EventQuerySchema(), sent)
        people = _numbers(query, rights)
        found = _find(query, people)
        form = refused if refused.is_refused else Form(shown)
    except ValidationFailed as refusal:
        form, found = Form.refused(shown, refusal, {}), NOTHING
    known = directory.by_ids(people.values()) if rights.include(USERS_READ) else {}
    return render_admin(
        "admin/audit.html",
        rights=rights,
        form=form,
        events=event_sentences.described(found.items, rights),
        next_cursor=found.next_cursor,
        filtered=any(name in sent for name in FILTERS),
        query={name: text for name, text in sent.items() if name != "cursor"},
        people={name: (id_, known.get(id_)) for name, id_ in people.items()},
        names=_names(sent.get("event")),
        is_fresh=fresh_until() is not None,
        **_state(),
    )


@bp.get(f"{PATH}/<digits:event_id>")
@permitted(AUDIT_READ)
def event_page(event_id: int) -> Response:
    found = activity.one(event_id)
    if found is None:
        raise NotFound
    event, seal = found
    rights = current_rights()
    [happening] = event_sentences.described([event], rights)
    is_erased = seal is not None and seal.salt is None
    return render_admin(
        "admin/event.html",
        rights=rights,
        event=happening,
        person=event.subject_id,
        by=event.actor_id,
        seal=seal,
        is_erased=is_erased,
    )


@bp.post(f"{PATH}/export", refused=show)
@freshly_permitted(AUDIT_READ)
@limited_writes
@takes_form(ExportSchema)
def export_audit(given: dict[str, Any]) -> Response:
    lines = exporting.download(since=given.get("sealed_since"), actor_id=current_session().user_id)
    attachment = {"Content-Disposition": 'attachment; filename="audit.jsonl"'}
    return current_app.response_class(
        _in_pieces(lines), mimetype="application/jsonl", headers={**HEADERS, **attachment}
    )


def _numbers(query: Mapping[str, Any], rights: Rights) -> dict[str, int]:
    """The accounts that are asked for. Raises ``ValidationFailed``.

    A number is always that of an account, which may be erased by now.
    """
    numbers, flaws = {}, []
    for name in query.keys() & set(PEOPLE):
        text = query[name].strip()
        if directory.is_id(text):
            numbers[name] = int(text)
        elif not rights.include(USERS_READ):
            # The answer would say whether there is such an account.
            flaws.append(ONLY_NUMBERS.at([name]))
        elif people := directory.named(text):
            numbers[name] = people[0].id
        else:
            flaws.append(NOBODY.at([name]))
    if flaws:
        raise ValidationFailed(flaws)
    return numbers


def _find(query: Mapping[str, Any], people: Mapping[str, int]) -> Page[AuditEvent]:
    other = {name: value for name, value in query.items() if name not in PEOPLE}
    return activity.matching(subject=people.get("subject"), actor=people.get("actor"), **other)


def _shown(name: str, text: str) -> str:
    """What the field shows: that of a time can show nothing but a time of UTC."""
    if name not in TIMES:
        return text
    found = MINUTE.fullmatch(text.removesuffix("Z"))
    return f"{found[1]}{found[2] or 'T00:00'}" if found else ""


def _names(wanted: str | None) -> list[str]:
    """The names of events, also of one whose feature was taken out."""
    return sorted({*vocabulary.names(), *([wanted] if wanted else [])})


def _state() -> dict[str, Any]:
    """How the log is: when it was last checked, and how far it is sealed."""
    remembered = list(checks.remembered().values())
    broken = next((check for check in remembered if check.outcome == checks.BROKEN), None)
    wrong = FOUND.get(broken.kind or "", broken.sentence or "") if broken else ""
    return {
        "checked": remembered[0] if remembered else None,
        "broken": broken,
        "wrong": gettext(wrong) if wrong else "",
        "sealing": checks.sealing(),
        "many": checks.MANY,
    }


def _in_pieces(lines: Iterator[str]) -> Iterator[str]:
    """Many lines at once, since each piece is one write to the client."""
    while piece := "".join(islice(lines, LINES_AT_ONCE)):
        yield piece
