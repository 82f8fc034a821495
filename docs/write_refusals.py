"""Write the refusals of each call into docs/api.md, from the OpenAPI document.

The decorators of a route say which errors a client may meet. ``make api-docs``
copies their codes into the last column of the table of calls, so that nobody
writes them twice. The other columns are written by hand.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from app import create_app, errors, read_settings
from app.http.blueprint import ANYWHERE, BODY_ERRORS
from app.http.openapi import api_of

PAGE = Path(__file__).with_name("api.md")
# What the page calls by one word, as it says above the table.
GROUPS = {
    "token": (
        errors.NotAuthenticated,
        errors.InvalidToken,
        errors.TokenExpired,
        errors.SessionEnded,
    ),
    "body": BODY_ERRORS,
}
# A row whose first cell is a call, `GET /healthz`, up to its last cell.
ROW = re.compile(r"^(\| `(?P<call>[A-Z]+ /[^`]*)` \|.*\|)[^|]*\|$", re.MULTILINE)


def document() -> dict[str, Any]:
    """The OpenAPI document. Nothing connects to the database of its application."""
    with TemporaryDirectory() as instance:
        app = create_app(read_settings({}, instance=Path(instance)))
    return api_of(app).document()


def operations(document: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Each call as the page writes it, ``GET /users/{id}``, and what the document says of it."""
    for path, item in document["paths"].items():
        for method, operation in item.items():
            if method != "parameters":
                yield f"{method.upper()} {re.sub(r'{[a-z]+_id}', '{id}', path)}", operation


def codes(operation: dict[str, Any]) -> list[str]:
    """The codes of a call's refusals, by status."""
    return [
        code
        for status, answer in sorted(operation["responses"].items())
        if int(status) >= 400
        for code in answer["x-codes"]
    ]


def in_words(refusals: list[str]) -> str:
    """The cell: ``token, body, `not_found` ``. What any call may answer is left out."""
    words = []
    said_above = {error.code for error in (*ANYWHERE, errors.CsrfFailed, errors.KeyNotAllowed)}
    left = [code for code in refusals if code not in said_above]
    for word, members in GROUPS.items():
        group = [error.code for error in members]
        if set(group) <= set(left):
            words.append(word)
            left = [code for code in left if code not in group]
    return ", ".join([*words, *(f"`{code}`" for code in left)])


def written(page: str, document: dict[str, Any]) -> str:
    """The page with the refusals of today."""
    cells = {call: in_words(codes(operation)) for call, operation in operations(document)}

    def row(found: re.Match[str]) -> str:
        if found["call"] not in cells:
            # Pages for people are not in the document.
            return found[0]
        cell = cells[found["call"]]
        return f"{found[1]} {cell} |" if cell else f"{found[1]} |"

    return ROW.sub(row, page)


if __name__ == "__main__":
    PAGE.write_text(written(PAGE.read_text("utf-8"), document()), encoding="utf-8")
