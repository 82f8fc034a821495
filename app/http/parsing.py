"""Reading bodies, forms and queries strictly."""

from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import parse_qsl

import marshmallow
from flask import Request, current_app
from flask_babel import gettext
from webargs.core import missing
from webargs.flaskparser import FlaskParser

from app.errors import BadRequest, UnsupportedMediaType, ValidationFailed
from app.field_errors import MAX_ERRORS, REPEATED, UNSTORABLE, Message, told
from app.http.problems import JSON
from app.http.strict_json import is_storable

FORM = "application/x-www-form-urlencoded"
# The names that clients use for UTF-8, the only character set of JSON.
UTF_8 = ("utf-8", "utf8")
# A form or a query has at most so many fields.
MAX_FIELDS = 100


class StrictParser(FlaskParser):
    """Reads JSON bodies, forms and queries by the contract's input rules."""

    __location_map__ = FlaskParser.__location_map__ | {
        "optional_json": "load_optional_json",
        "json_or_form": "load_json_or_form",
    }
    DEFAULT_UNKNOWN_BY_LOCATION = FlaskParser.DEFAULT_UNKNOWN_BY_LOCATION | {
        "query": marshmallow.RAISE
    }

    def load_json(self, req: Request, schema: marshmallow.Schema) -> Any:
        if req.mimetype != JSON:
            raise _wants(JSON)
        if req.mimetype_params.get("charset", "utf-8").lower() not in UTF_8:
            raise _wants(f"{JSON}; charset=utf-8")
        return _without_surplus(current_app.json.loads(req.get_data()), req, schema)

    def load_form(self, req: Request, schema: marshmallow.Schema) -> Any:
        if not req.mimetype and not req.get_data():
            # Clients send a form without fields in this way.
            return {}
        if req.mimetype != FORM:
            raise _wants(FORM)
        return _each_once(req.get_data(), lambda message, name: message.at([name]))

    def load_json_or_form(self, req: Request, schema: marshmallow.Schema) -> Any:
        if req.mimetype not in (JSON, FORM):
            raise _wants(f"{JSON}, {FORM}")
        return (self.load_form if req.mimetype == FORM else self.load_json)(req, schema)

    def load_optional_json(self, req: Request, schema: marshmallow.Schema) -> Any:
        """A body that may be left out altogether."""
        return self.load_json(req, schema) if req.get_data() else missing

    def load_querystring(self, req: Request, schema: marshmallow.Schema) -> Any:
        return _each_once(req.query_string, lambda message, name: message.about(name))

    def handle_error(
        self,
        error: marshmallow.ValidationError,
        req: Request,
        schema: marshmallow.Schema,
        **_: Any,
    ) -> Any:
        messages: dict[str, Any] = error.normalized_messages()  # type: ignore[no-untyped-call]
        found, more = told(
            (location, path, message)
            for location, flaws in messages.items()
            for path, message in _flattened(flaws)
        )
        raise ValidationFailed(
            [
                message.about(str(path[0])) if location == "query" else message.at(path)
                for location, path, message in found
            ],
            left_out=more + getattr(req, "fields_left_out", 0),
        )


def _wants(types: str) -> UnsupportedMediaType:
    return UnsupportedMediaType(
        gettext("The Content-Type that is accepted here: %(types)s.", types=types)
    )


def _each_once(encoded: bytes, located: Callable[[Message, str], dict[str, str]]) -> dict[str, str]:
    """The fields of a form or query, each given once (RFC 6749 §3.2), in strict UTF-8."""
    try:
        pairs = parse_qsl(
            encoded.decode(), keep_blank_values=True, errors="strict", max_num_fields=MAX_FIELDS
        )
    except ValueError:
        raise BadRequest from None
    fields = dict(pairs)
    given = Counter(name for name, _ in pairs)
    flaws = [(REPEATED, name) for name in fields if given[name] > 1]
    flaws += [(UNSTORABLE, name) for name in fields if not is_storable(fields[name])]
    if flaws:
        found, more = told(flaws)
        raise ValidationFailed([located(*flaw) for flaw in found], left_out=more)
    return fields


def _without_surplus(
    body: dict[str, Any], req: Request, schema: marshmallow.Schema
) -> dict[str, Any]:
    """Drop the unknown fields for which the answer has no room.

    marshmallow would keep an error for each of them: 64 KiB of unknown fields
    would take 14 ms and not 5. It still refuses the body, because some unknown
    fields are left in it.
    """
    if len(body) <= len(schema.fields) + MAX_ERRORS:
        return body
    unknown, more = told(name for name in body if name not in schema.fields)
    req.fields_left_out = more  # type: ignore[attr-defined]
    named = {*schema.fields, *unknown}
    return {name: value for name, value in body.items() if name in named}


def _flattened(
    messages: Any, path: tuple[str | int, ...] = ()
) -> Iterator[tuple[tuple[str | int, ...], Message]]:
    """marshmallow's nested messages as (place, message) pairs."""
    if isinstance(messages, dict):
        for key, nested in messages.items():
            yield from _flattened(nested, path if key == "_schema" else (*path, key))
    else:
        for text in messages:
            yield path, text if isinstance(text, Message) else Message("invalid", text)
