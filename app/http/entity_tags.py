"""``ETag``, ``If-Match`` and ``If-None-Match`` (RFC 9110 §13).

A tag is a digest of the answer's body. So it changes whenever anything changes
that the answer shows, and nobody has to remember to count a version up.
"""

import hashlib
import re
from functools import wraps
from typing import Any

from flask import Response, current_app, request

from app.database.rows import Expected
from app.errors import PreconditionFailed
from app.http.blueprint import View, documentation_of, refuses
from app.http.fields import Schema

TAG = re.compile(r'(W/)?"([\x21\x23-\x7e\x80-\xff]*)"')
SAFE = ("GET", "HEAD")
# RFC 9110 §9.3.4: the answer to a PUT has no tag, unless the body was stored as it was sent.
SHOWING = (*SAFE, "PATCH")


def conditional(view: View) -> View:
    """Give the answer of the view its ``ETag``, and heed the preconditions of a GET.

    Put it below the guards and above the decorators that read the body. A view
    that changes something passes ``expected(Schema)`` to its verb as well.
    """

    @wraps(view)
    def with_tag(*args: Any, **kwargs: Any) -> Response:
        response: Response = view(*args, **kwargs)
        if request.method not in SHOWING:
            return response
        tag = _tag_of(response.get_data())
        response.headers["ETag"] = f'"{tag}"'
        if request.method in SAFE and _has_preconditions():
            return _unless_known(tag, response)
        return response

    documentation_of(with_tag)["conditional"] = True
    return refuses(PreconditionFailed)(with_tag)  # type: ignore[return-value]


def expected(schema: type[Schema]) -> Expected | None:
    """What the client expects of the row that it changes. None if it expects nothing.

    ``schema`` is that of the GET. The verb calls the result with the row, as it
    is when it is locked. Or it calls it with the row as it was read, and lets
    its UPDATE compare each column (``unchanged`` of ``app.database.rows``).
    """
    if not _has_preconditions():
        return None
    wanted, unwanted = _sent("If-Match"), _sent("If-None-Match")

    def refuse_unless_as_expected(row: Any) -> None:
        tag = tag_of(schema, row)
        if not (wanted is None or wanted.has(tag)) or (unwanted and unwanted.has_weak(tag)):
            raise PreconditionFailed

    return refuse_unless_as_expected


def tag_of(schema: type[Schema], row: Any) -> str:
    """The tag of the answer to the GET that shows the row."""
    answer: Any = current_app.json.response(schema().dump(row))
    return _tag_of(answer.get_data())


class _Tags:
    """The tags of a header. A weak one is never the same as a strong one (RFC 9110 §8.8.3.2)."""

    def __init__(self, header: str) -> None:
        self.any = header.strip() == "*"
        found = TAG.findall(header)
        self.strong = {tag for weak, tag in found if not weak}
        self.all = {tag for _, tag in found}

    def has(self, tag: str) -> bool:
        return self.any or tag in self.strong

    def has_weak(self, tag: str) -> bool:
        return self.any or tag in self.all


def _has_preconditions() -> bool:
    return "HTTP_IF_MATCH" in request.environ or "HTTP_IF_NONE_MATCH" in request.environ


def _sent(name: str) -> _Tags | None:
    return _Tags(request.headers[name]) if name in request.headers else None


def _tag_of(body: bytes) -> str:
    return hashlib.blake2b(body, digest_size=16).hexdigest()


def _unless_known(tag: str, response: Response) -> Response:
    """The answer to a GET: 304 for a client that has it, 412 for one that wants another."""
    if response.status_code != 200:
        return response
    if (wanted := _sent("If-Match")) and not wanted.has(tag):
        raise PreconditionFailed
    if (known := _sent("If-None-Match")) and known.has_weak(tag):
        response.status_code = 304
        response.set_data(b"")
    return response
