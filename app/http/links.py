"""The ``Link`` header, which leads to the next page of a list (RFC 8288)."""

from collections.abc import Callable
from functools import wraps
from typing import Any

from flask import request, url_for

from app.database.pages import Page

NEXT_PAGE = {
    "Link": {
        "description": 'The next page: `<…>; rel="next"`. Absent on the last page.',
        "schema": {"type": "string"},
    }
}


def with_next_page(view: Callable[..., Any]) -> Callable[..., Any]:
    """Add the link to the answer of a view that returns a ``Page``."""

    @wraps(view)
    def linked(*args: Any, **kwargs: Any) -> Any:
        found = view(*args, **kwargs)
        if not isinstance(found, Page) or found.next_cursor is None:
            return found
        return found, 200, {"Link": f'<{_next_page(found.next_cursor)}>; rel="next"'}

    return linked


def _next_page(cursor: str) -> str:
    """The present path and query, with another cursor."""
    values: dict[str, Any] = (request.view_args or {}) | request.args.to_dict()
    return url_for(request.endpoint or "", **values | {"cursor": cursor})
