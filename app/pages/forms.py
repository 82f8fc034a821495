"""Reading a form by a schema of the API, and showing it again with what is wrong.

A form is held to the same bounds as a JSON body: each field once, no unknown
fields, no NUL.
"""

from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import wraps
from typing import Any
from urllib.parse import unquote

import marshmallow
from flask import current_app, g, request
from flask_babel import gettext
from werkzeug.datastructures import MultiDict

from app import errors
from app.access import rescues
from app.errors import AppError, MalformedJSON, ValidationFailed
from app.http.blueprint import Decorator, View
from app.http.fields import Flag
from app.http.languages import LOCALES
from app.http.parsing import MAX_FIELDS, StrictParser
from app.pages import words

# The fields of the pages themselves, which no schema knows.
SWITCH = "switch_language"
REOPEN = "reopen"
OURS = ("csrf_token", "next", SWITCH, REOPEN)
# What was typed here never comes back. `secret` is the one of a new authenticator app.
SECRET = ("password", "current_password", "new_password", "otp", "recovery_code", "token", "secret")
# The texts of a form come back if they and their names have at most this many characters. HTML
# needs five characters for a quotation mark, so a form of 64 KiB could make a page of 300 KiB.
MAX_RETURNED = 16 * 1024

# Typing something else does not help against these.
BEYOND_FORMS = (
    errors.NotAuthenticated,
    errors.InvalidToken,
    errors.FreshTokenRequired,
    errors.MfaEnrollmentRequired,
    rescues.PasswordResetRequired,
    errors.NotEnoughPermissions,
    errors.KeyNotAllowed,
    errors.CsrfFailed,
    errors.NotFound,
    errors.InternalError,
)
# The status of a form that nobody refused for what was typed. Others are 422.
OWN_STATUS = (429, 503)

# At which field a refusal is shown. Of several fields, it is the first that was sent.
Beside = Mapping[type[AppError], str | tuple[str, ...]]

# What a form needs to be reopened: it is read by ``takes_form``, and its page can show it again.
TAKES_FORM = "takes_form"
SHOWN_AGAIN = "shown_again"

_parser = StrictParser()


@dataclass(frozen=True)
class Form:
    """What somebody typed into the fields of a page, and what is wrong with it."""

    values: Mapping[str, Any] = field(default_factory=dict)
    # Field → sentence.
    errors: Mapping[str, str] = field(default_factory=dict)
    # What is wrong and belongs to no field.
    general: tuple[str, ...] = ()
    # The code of the error that refused it.
    code: str = ""
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def refused(cls, typed: Mapping[str, str], refusal: AppError, beside: "Beside") -> "Form":
        at_fields, general = _flaws(typed, refusal, beside)
        status = refusal.status if refusal.status in OWN_STATUS else 422
        headers = refusal.headers if status in OWN_STATUS else {}
        return cls(returned(typed), at_fields, general, refusal.code, status, headers)

    @property
    def is_refused(self) -> bool:
        return bool(self.errors or self.general)

    def value(self, name: str) -> Any:
        return "" if name in SECRET else self.values.get(name, "")


EMPTY = Form()


class LanguageSwitched(Exception):
    """The button that was pressed is that of another language, so nothing else happens."""

    def __init__(self, locale: str) -> None:
        super().__init__(locale)
        self.locale = locale


class Reopened(Exception):
    """The form is to be shown as it was typed, and nothing else happens."""


def after_switch(typed: Mapping[str, str]) -> Form:
    """The form in another language: nothing was sent, so nothing is wrong yet."""
    values = {name: text for name, text in returned(typed).items() if name != SWITCH}
    return Form(values | {"locale": typed[SWITCH]} if "locale" in values else values)


def read() -> dict[str, str]:
    """The fields of the form that was sent, each given once. Raises ``AppError``."""
    if "form" not in g:
        g.form = _parser.load_form(request, marshmallow.Schema())
    typed: dict[str, str] = g.form
    return typed


def takes_form(
    schema: type[marshmallow.Schema],
    *,
    as_body: Callable[[Mapping[str, str]], Mapping[str, Any]] | None = None,
) -> Decorator:
    """Pass the fields of the form to the view, as the schema reads them.

    ``as_body`` makes the JSON body of the form, where that has lists or numbers.
    """
    # One instance for all requests: making one takes longer than using it.
    reader = schema()

    def decorate(view: View) -> View:
        @wraps(view)
        def with_fields(**variables: Any) -> Any:
            return view(_loaded(reader, read(), as_body), **variables)

        setattr(with_fields, TAKES_FORM, True)
        return with_fields  # type: ignore[return-value]

    return decorate


def can_be_reopened(view: Callable[..., Any]) -> bool:
    """Whether the view understands ``REOPEN``. Others would do what the form says."""
    return all(getattr(view, mark, False) for mark in (TAKES_FORM, SHOWN_AGAIN))


def returned(typed: Mapping[str, str]) -> Mapping[str, str]:
    """The fields as they may come back to the person: those of a very long form are empty."""
    return typed if _is_short(typed.items()) else dict.fromkeys(typed, "")


def kept(typed: MultiDict[str, str]) -> list[tuple[str, str]]:
    """The fields that may come back to the person who typed them, without passwords and codes.

    None of a very long form comes back.
    """
    dropped = {*SECRET, *OURS} - {"next"}
    fields = [(name, text) for name, text in typed.items(multi=True) if name not in dropped]
    return fields if len(fields) <= MAX_FIELDS and _is_short(fields) else []


def _is_short(fields: Iterable[tuple[str, str]]) -> bool:
    return sum(len(name) + len(text) for name, text in fields) <= MAX_RETURNED


def _loaded(
    schema: marshmallow.Schema,
    typed: Mapping[str, str],
    as_body: Callable[[Mapping[str, str]], Mapping[str, Any]] | None,
) -> dict[str, Any]:
    if typed.get(SWITCH) in LOCALES:
        raise LanguageSwitched(typed[SWITCH])
    if REOPEN in typed:
        raise Reopened
    return loaded(schema, as_body(typed) if as_body else _as_body(schema, typed))


def loaded(schema: marshmallow.Schema, fields: Mapping[str, Any]) -> dict[str, Any]:
    """The fields as the schema reads them. Raises ``ValidationFailed``."""
    try:
        read_by_schema: dict[str, Any] = schema.load(fields)
    except marshmallow.ValidationError as error:
        messages = {"form": error.messages_dict}
        _parser.handle_error(marshmallow.ValidationError(messages), request, schema)
        raise
    return read_by_schema


def _as_body(schema: marshmallow.Schema, typed: Mapping[str, str]) -> dict[str, Any]:
    """The form as the JSON body that means the same."""
    body: dict[str, Any] = {name: text for name, text in typed.items() if name not in OURS}
    for name, known in schema.load_fields.items():
        text = body.get(name)
        if isinstance(known, Flag):
            # A browser leaves a box out that is not checked.
            body[name] = {None: False, "false": False, "true": True}.get(text, text)
        elif isinstance(known, marshmallow.fields.List):
            # Each box is a field of its own: `permissions.users:read`.
            prefix = f"{name}."
            boxes = {box for box in typed if box.startswith(prefix)} & body.keys()
            body[name] = [box[len(prefix) :] for box in sorted(boxes) if body[box] == "true"]
            for box in boxes:
                if body[box] in ("true", "false"):
                    del body[box]
        elif isinstance(known, marshmallow.fields.Dict):
            # A script of the page writes JSON into a hidden field. The schema refuses other texts.
            with suppress(MalformedJSON, ValidationFailed):
                body[name] = current_app.json.loads(text or "")
        elif text == "" and known.allow_none:
            body[name] = None
        elif text == "" and not known.required:
            del body[name]
        elif text is not None:
            # Browsers send a new line as two characters, and count one.
            body[name] = text.replace("\r\n", "\n")
    return body


def _flaws(
    typed: Mapping[str, str], refusal: AppError, beside: Beside
) -> tuple[dict[str, str], tuple[str, ...]]:
    if not isinstance(refusal, ValidationFailed):
        for error, names in beside.items():
            if isinstance(refusal, error):
                name = _first_typed(names, typed)
                return {name: words.of(refusal, name)}, ()
        return {}, (words.of(refusal),)
    at_fields: dict[str, str] = {}
    general = []
    for flaw in refusal.members["errors"]:
        # An item of a list is shown beside its list.
        name = unquote(flaw.get("pointer", "#")[1:]).strip("/").partition("/")[0]
        if name:
            at_fields.setdefault(name, flaw["detail"])
        else:
            general.append(flaw["detail"])
    return at_fields, tuple(general)


def _first_typed(names: str | tuple[str, ...], typed: Mapping[str, str]) -> str:
    if isinstance(names, str):
        return names
    return next((name for name in names if name in typed), names[0])


def label_of(name: str) -> str:
    """What the pages call a field."""
    return str(gettext(words.LABELS.get(name, name)))
