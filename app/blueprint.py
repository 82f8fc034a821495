"""The blueprint that both features are made of: strict input, documented output.

What a decorator here enforces is what the OpenAPI document says.
"""

from collections import Counter
from collections.abc import Callable, Iterator
from copy import deepcopy
from functools import partial
from itertools import islice
from typing import Any, ClassVar, Protocol, TypeVar
from urllib.parse import parse_qsl

import flask_smorest
import marshmallow
from flask import Flask, Request, current_app
from flask.sessions import SessionInterface
from webargs.core import missing
from webargs.flaskparser import FlaskParser
from werkzeug.exceptions import RequestEntityTooLarge
from werkzeug.routing import BaseConverter
from werkzeug.sansio.response import Response

from app.errors import (
    JSON,
    MAX_ERRORS,
    PROBLEM_JSON,
    REPEATED,
    TITLES,
    UNSTORABLE,
    AppError,
    BadRequest,
    BodyTooLarge,
    InternalError,
    MalformedJSON,
    Message,
    Unavailable,
    UnsupportedMediaType,
    ValidationFailed,
    told,
)
from app.models.types import MAX_ID
from app.strict_json import is_storable

# How many items of a list `streamed` writes in one piece.
ITEMS_AT_ONCE = 100
FORM = "application/x-www-form-urlencoded"
# What clients call the one character set of JSON.
UTF_8 = ("utf-8", "utf8")
BODY_ERRORS = (MalformedJSON, BadRequest, BodyTooLarge, UnsupportedMediaType, ValidationFailed)
ANYWHERE = (InternalError, Unavailable)

View = TypeVar("View", bound=Callable[..., Any])


class Decorator(Protocol):
    """Gives a view back as it was typed."""

    def __call__(self, view: View, /) -> View: ...


def accepted() -> Response:
    """202 and an empty object: whatever comes of it comes by mail."""
    response = current_app.json.response({})
    response.status_code = 202
    return response


def streamed(
    schema: marshmallow.Schema, document: dict[str, Any], headers: dict[str, str]
) -> Response:
    """A JSON object that is written while its lists, which may be iterators, are read."""
    write = partial(current_app.json.dumps, separators=(",", ":"))
    return current_app.response_class(
        _written(schema, document, write), mimetype=JSON, headers=headers
    )


def _written(
    schema: marshmallow.Schema, document: dict[str, Any], write: Callable[[Any], str]
) -> Iterator[str]:
    before = "{"
    for name, field in schema.dump_fields.items():
        yield f"{before}{write(name)}:"
        before = ","
        if isinstance(field, marshmallow.fields.List):
            items = (write(field.inner._serialize(item, name, document)) for item in document[name])
            yield from _in_brackets(items)
        else:
            yield write(field.serialize(name, document))
    yield "}"


def _in_brackets(items: Iterator[str]) -> Iterator[str]:
    """A JSON array, many items in one piece: each piece is a write to the client."""
    before = "["
    while piece := ",".join(islice(items, ITEMS_AT_ONCE)):
        yield before + piece
        before = ","
    yield "[]" if before == "[" else "]"


def refuses(*errors: type[AppError]) -> Decorator:
    """Document errors that a client may meet, by status and code."""

    def decorate(view: View) -> View:
        document = documentation_of(view).setdefault("refusals", {})
        for error in errors:
            document.setdefault(error.status, {})[error.code] = None
        return view

    return decorate


def documentation_of(view: Callable[..., Any]) -> dict[str, Any]:
    """What flask-smorest's decorators have noted on the view so far, to be added to."""
    document: dict[str, Any] = deepcopy(getattr(view, "_apidoc", {}))
    view.__dict__["_apidoc"] = document
    return document


class Digits(BaseConverter):
    """An id in a path: ASCII digits alone, however many. Beyond any id, it becomes the largest."""

    regex = "[0-9]+"

    def to_python(self, value: str) -> int:
        # Python refuses to read numbers of thousands of digits.
        return min(int(value.lstrip("0")[:20] or 0), MAX_ID)


class StrictRequest(Request):
    """A request whose body is never cut short."""

    # Unknown fields that were dropped before the schema saw them; the answer counts them.
    fields_left_out = 0

    def get_data(self, *args: Any, **kwargs: Any) -> Any:
        """The body. Werkzeug cuts one that comes in chunks at the limit, silently."""
        try:
            data = super().get_data(*args, **kwargs)
        except RequestEntityTooLarge:
            raise BodyTooLarge from None
        limit = self.max_content_length
        is_full = self.content_length is None and limit is not None and len(data) >= limit
        if is_full and self.environ["wsgi.input"].read(1):
            raise BodyTooLarge
        return data


class NoCookies(SessionInterface):
    """A login is a token here: no cookie is read or written.

    Flask's own interface would look for one in every request. A blueprint
    that wants ``flask.session`` sets ``app.session_interface``.
    """

    def open_session(self, app: Flask, request: Request) -> None:
        return None

    def save_session(self, app: Flask, session: Any, response: Any) -> None:
        pass


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
            raise UnsupportedMediaType
        if req.mimetype_params.get("charset", "utf-8").lower() not in UTF_8:
            raise UnsupportedMediaType
        return _without_surplus(current_app.json.loads(req.get_data()), req, schema)

    def load_form(self, req: Request, schema: marshmallow.Schema) -> Any:
        if not req.mimetype and not req.get_data():
            # As clients send a form without fields.
            return {}
        if req.mimetype != FORM:
            raise UnsupportedMediaType
        return _each_once(req.get_data(), lambda message, name: message.at([name]))

    def load_json_or_form(self, req: Request, schema: marshmallow.Schema) -> Any:
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


class Blueprint(flask_smorest.Blueprint):  # type: ignore[misc]  # flask-smorest has no types
    """flask-smorest's blueprint with the strict parser, and typed."""

    ARGUMENTS_PARSER = StrictParser()
    DEFAULT_LOCATION_CONTENT_TYPE_MAPPING: ClassVar = {
        "json": JSON,
        "optional_json": JSON,
        "form": FORM,
    }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._prepare_doc_cbks.append(self._document_refusals)

    def get(self, rule: str) -> Decorator:
        return self._route(rule, "GET")

    def post(self, rule: str) -> Decorator:
        return self._route(rule, "POST")

    def put(self, rule: str) -> Decorator:
        return self._route(rule, "PUT")

    def patch(self, rule: str) -> Decorator:
        return self._route(rule, "PATCH")

    def delete(self, rule: str) -> Decorator:
        return self._route(rule, "DELETE")

    def _route(self, rule: str, method: str) -> Decorator:
        def decorate(view: View) -> View:
            self.add_url_rule(rule, f"{view.__name__}_{method.lower()}", view, methods=[method])
            return view

        return decorate

    def takes(self, schema: type[marshmallow.Schema], *, optional: bool = False) -> Decorator:
        """A JSON body, given to the view as a dictionary."""
        location = "optional_json" if optional else "json"
        # One instance for all requests: making one takes longer than using it.
        decorate = self.arguments(schema(), location=location, required=not optional)
        return _then(decorate, refuses(*BODY_ERRORS))

    def parse_optional_json(self, schema: type[marshmallow.Schema]) -> dict[str, Any]:
        """The body of the request at hand, for a view that may not need it at all."""
        body: dict[str, Any] = self.ARGUMENTS_PARSER.parse(schema(), location="optional_json")
        return body

    def documents_optional_body(self, schema: type[marshmallow.Schema]) -> Decorator:
        """The body that ``parse_optional_json`` reads, for the OpenAPI document."""
        document = self.doc(requestBody={"required": False, "content": {JSON: {"schema": schema}}})
        return _then(document, refuses(*BODY_ERRORS))

    def takes_query(self, schema: type[marshmallow.Schema]) -> Decorator:
        """Parameters of the query, given to the view as a dictionary."""
        parse = self.arguments(schema(), location="query")
        return _then(parse, refuses(ValidationFailed, BadRequest))

    def takes_form(self, schema: type[marshmallow.Schema]) -> Decorator:
        """An OAuth 2 form, given to the view as a dictionary.

        All errors of the call are documented as ``application/json``. That
        they are sent so is decided by the path (``OAUTH_PATHS``), since some
        happen before any view runs.
        """
        return _then(
            self.arguments(schema(), location="form"),
            refuses(BodyTooLarge, UnsupportedMediaType),
            _documents_plain_json,
        )

    def takes_json_or_form(
        self, json: type[marshmallow.Schema], form: type[marshmallow.Schema]
    ) -> Decorator:
        """Either of two bodies, told apart by their Content-Type."""

        of_json, of_form = json(), form()

        def schema_for(req: Request) -> marshmallow.Schema:
            return of_form if req.mimetype == FORM else of_json

        parse: Any = self.ARGUMENTS_PARSER.use_args(schema_for, location="json_or_form")
        bodies = {JSON: {"schema": json}, FORM: {"schema": form}}
        document = self.doc(requestBody={"required": True, "content": bodies})
        return _then(lambda view: document(parse(view)), refuses(*BODY_ERRORS))

    def returns(
        self,
        status: int,
        schema: marshmallow.Schema | type[marshmallow.Schema] | dict[str, Any] | None = None,
        *,
        content_type: str | None = None,
        description: str | None = None,
        headers: dict[str, Any] | None = None,
    ) -> Decorator:
        """The answer to success: what the view returns, through the schema."""
        decorate: Decorator = self.response(
            status, schema, content_type=content_type, description=description, headers=headers
        )
        return decorate

    def also_returns(
        self, status: int, schema: type[marshmallow.Schema], *, description: str
    ) -> Decorator:
        """Another answer to success, which the view makes itself."""
        decorate: Decorator = self.alt_response(status, schema=schema, description=description)
        return decorate

    def _document_refusals(
        self, document: dict[str, Any], noted: dict[str, Any], **_: Any
    ) -> dict[str, Any]:
        refusals = noted.get("refusals", {})
        for error in ANYWHERE:
            refusals.setdefault(error.status, {})[error.code] = None
        successes = {
            status: answer
            for status, answer in document.get("responses", {}).items()
            if str(status).isdecimal() and int(status) < 400
        }
        content_type = noted.get("problem_type", PROBLEM_JSON)
        document["responses"] = successes | {
            status: _refusal(status, list(codes), content_type)
            for status, codes in sorted(refusals.items())
        }
        return document


def _then(*decorators: Callable[[Any], Any]) -> Decorator:
    def decorate(view: View) -> View:
        for decorator in decorators:
            view = decorator(view)
        return view

    return decorate


def _documents_plain_json(view: View) -> View:
    documentation_of(view)["problem_type"] = JSON
    return view


def _refusal(status: int, codes: list[str], content_type: str) -> dict[str, Any]:
    problem = {"$ref": "#/components/schemas/Problem"}
    narrowed = {"allOf": [problem, {"properties": {"code": {"enum": codes}}}]}
    return {
        "description": f"{TITLES[status]}: {', '.join(codes)}",
        "content": {content_type: {"schema": narrowed}},
    }


def _each_once(encoded: bytes, located: Callable[[Message, str], dict[str, str]]) -> dict[str, str]:
    """The fields of a form or query, each given once (RFC 6749 §3.2), in strict UTF-8."""
    try:
        pairs = parse_qsl(
            encoded.decode(), keep_blank_values=True, errors="strict", max_num_fields=100
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
    """The body with no more unknown fields than the answer can name.

    marshmallow would keep an error for each of them. It still refuses the
    body, since what is kept has more of them than none.
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
