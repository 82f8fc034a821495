"""The blueprint for all routes: strict input, documented output.

Each decorator here enforces a rule and writes it into the OpenAPI document.
"""

from collections.abc import Callable, Iterator
from copy import deepcopy
from functools import partial
from itertools import islice
from typing import Any, ClassVar, Protocol, TypeVar

import flask_smorest
import marshmallow
from flask import Request, current_app
from werkzeug.sansio.response import Response

from app.errors import (
    AppError,
    BadRequest,
    BodyTooLarge,
    CsrfFailed,
    InternalError,
    MalformedJSON,
    Unavailable,
    UnsupportedMediaType,
    ValidationFailed,
)
from app.http import documented_headers, links
from app.http.parameters import PageSchema
from app.http.parsing import FORM, StrictParser
from app.http.problems import JSON, PROBLEM_JSON, TITLES

# How many items of a list `streamed` writes in one piece.
ITEMS_AT_ONCE = 100
BODY_ERRORS = (MalformedJSON, BadRequest, BodyTooLarge, UnsupportedMediaType, ValidationFailed)
ANYWHERE = (InternalError, Unavailable)
# How the OpenAPI document says that the cookie of a session may sign the user in.
BY_COOKIE: dict[str, list[str]] = {"session_cookie": []}

View = TypeVar("View", bound=Callable[..., Any])


class Decorator(Protocol):
    """A decorator that keeps the type of the view."""

    def __call__(self, view: View, /) -> View: ...


def accepted() -> Response:
    """202 and an empty object. The result comes by mail, if there is one."""
    response = current_app.json.response({})
    response.status_code = 202
    return response


def streamed(
    schema: marshmallow.Schema, document: dict[str, Any], headers: dict[str, str]
) -> Response:
    """A JSON object that is written while its lists are read. They may be iterators."""
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
    """A JSON array in pieces of many items, since each piece is one write to the client."""
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
    """The notes that flask-smorest's decorators have left on the view. Callers add to them."""
    document: dict[str, Any] = deepcopy(getattr(view, "_apidoc", {}))
    view.__dict__["_apidoc"] = document
    return document


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
        # The names of the calls, by which generated clients know them.
        self.operation_ids: list[str] = []
        self._prepare_doc_cbks += [self._document_refusals, documented_headers.write]

    def register_views_in_doc(self, api: Any, *arguments: Any, **named: Any) -> None:
        """flask-smorest's, but it waits until somebody asks for the document."""
        api.describe_later(partial(super().register_views_in_doc, api, *arguments, **named))

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
            endpoint = f"{view.__name__}_{method.lower()}"
            manual = documentation_of(view).setdefault("manual_doc", {})
            # A view of two methods is two calls, and each needs a name of its own.
            manual["operationId"] = endpoint if "operationId" in manual else view.__name__
            self.operation_ids.append(manual["operationId"])
            self.add_url_rule(rule, endpoint, view, methods=[method])
            return view

        return decorate

    def takes(self, schema: type[marshmallow.Schema], *, optional: bool = False) -> Decorator:
        """A JSON body, given to the view as a dictionary."""
        location = "optional_json" if optional else "json"
        # One instance for all requests: making one takes longer than using it.
        decorate = self.arguments(schema(), location=location, required=not optional)
        return _then(decorate, refuses(*BODY_ERRORS))

    def parse_optional_json(self, schema: type[marshmallow.Schema]) -> dict[str, Any]:
        """Read the body of the current request, for a view that may not need it."""
        body: dict[str, Any] = self.ARGUMENTS_PARSER.parse(schema(), location="optional_json")
        return body

    def documents_optional_body(self, schema: type[marshmallow.Schema]) -> Decorator:
        """Describe the body that ``parse_optional_json`` reads in the OpenAPI document."""
        document = self.doc(requestBody={"required": False, "content": {JSON: {"schema": schema}}})
        return _then(document, refuses(*BODY_ERRORS))

    def takes_query(self, schema: type[marshmallow.Schema]) -> Decorator:
        """Parameters of the query, given to the view as a dictionary."""
        parse = self.arguments(schema(), location="query")
        return _then(parse, refuses(ValidationFailed, BadRequest))

    def takes_form(self, schema: type[marshmallow.Schema]) -> Decorator:
        """An OAuth 2 form, given to the view as a dictionary.

        The OpenAPI document says that all errors of the call are
        ``application/json``. The path (``OAUTH_PATHS``) decides how they are
        sent, because some happen before any view runs.
        """
        return _then(
            self.arguments(schema(), location="form"),
            refuses(BodyTooLarge, UnsupportedMediaType),
            _documents_plain_json,
        )

    def takes_json_or_form(
        self, json: type[marshmallow.Schema], form: type[marshmallow.Schema]
    ) -> Decorator:
        """A JSON or a form body. The Content-Type says which of the two it is.

        The OpenAPI document has the JSON body alone: some generators write broken
        code for a call with two kinds of bodies. The view's docstring names the form.
        """
        of_json, of_form = json(), form()

        def schema_for(req: Request) -> marshmallow.Schema:
            return of_form if req.mimetype == FORM else of_json

        parse: Any = self.ARGUMENTS_PARSER.use_args(schema_for, location="json_or_form")
        document = self.doc(requestBody={"required": True, "content": {JSON: {"schema": json}}})
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
        """The answer to success. The schema turns the view's result into JSON."""
        is_page = isinstance(schema, type) and issubclass(schema, PageSchema)
        all_headers = (headers or {}) | (links.NEXT_PAGE if is_page else {}) or None
        decorate: Decorator = self.response(
            status, schema, content_type=content_type, description=description, headers=all_headers
        )
        return _then(links.with_next_page, decorate) if is_page else decorate

    def also_returns(
        self, status: int, schema: type[marshmallow.Schema], *, description: str
    ) -> Decorator:
        """Another answer to success, which the view makes itself."""
        decorate: Decorator = self.alt_response(status, schema=schema, description=description)
        return decorate

    def _document_refusals(
        self, document: dict[str, Any], noted: dict[str, Any], *, method: str, **_: Any
    ) -> dict[str, Any]:
        refusals = noted.get("refusals", {})
        if method != "get" and BY_COOKIE in noted.get("manual_doc", {}).get("security", []):
            refusals.setdefault(CsrfFailed.status, {})[CsrfFailed.code] = None
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
    """The codes are an extension: generators would write a model for each list of codes."""
    return {
        "description": f"{TITLES[status]}: {', '.join(f'`{code}`' for code in codes)}",
        "content": {content_type: {"schema": {"$ref": "#/components/schemas/Problem"}}},
        "x-codes": codes,
    }


def is_documented(blueprint: object) -> bool:
    """Whether the calls of the blueprint are in the OpenAPI document. Those of Flask's are not."""
    return isinstance(blueprint, Blueprint)


def operation_ids(blueprint: object) -> list[str]:
    """The names of the blueprint's calls in the OpenAPI document. Those of Flask's have none."""
    return blueprint.operation_ids if isinstance(blueprint, Blueprint) else []
