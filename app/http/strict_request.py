"""The parts of Flask that read a request, made strict."""

from typing import Any

from flask import Flask, Request
from flask.sessions import SessionInterface
from werkzeug.exceptions import RequestEntityTooLarge
from werkzeug.routing import BaseConverter
from werkzeug.utils import cached_property

from app.database.types import MAX_ID
from app.errors import BodyTooLarge
from app.http.parsing import FORM


class Digits(BaseConverter):
    """An id in a path, in ASCII digits only. A number beyond any id becomes the largest id."""

    regex = "[0-9]+"

    def to_python(self, value: str) -> int:
        # Python refuses to read numbers of thousands of digits.
        return min(int(value.lstrip("0")[:20] or 0), MAX_ID)


class StrictRequest(Request):
    """A request whose body is never cut short."""

    # Unknown fields that were dropped before the schema saw them; the answer counts them.
    fields_left_out = 0

    @cached_property
    def form(self) -> Any:
        """The fields of a form. Werkzeug counts only those of multipart forms; this counts all.

        A long form may have a million fields, and the guard of forms reads it
        before anybody has logged in.
        """
        most = self.max_form_parts
        is_counted = self.mimetype == FORM and most is not None
        if is_counted and self.get_data().count(b"&") >= most:
            raise BodyTooLarge
        return super().form

    def get_data(self, *args: Any, **kwargs: Any) -> Any:
        """The body. Werkzeug would silently cut a body in chunks at the limit; this refuses it."""
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
    """No cookie is read or written, because a login is a token here.

    Flask's own interface would look for one in every request. A blueprint
    that wants ``flask.session`` sets ``app.session_interface``.
    """

    def open_session(self, app: Flask, request: Request) -> None:
        return None

    def save_session(self, app: Flask, session: Any, response: Any) -> None:
        pass
