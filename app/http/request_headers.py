"""Headers are cut before anything reads them.

One client could otherwise send hundreds of kilobytes of ``Accept-Language``
or of commas in ``Authorization``, which take a second to parse, or a
``User-Agent`` that fills the log. ``gunicorn.conf.py`` limits what gunicorn
accepts at all.
"""

from collections.abc import Iterable
from typing import Any

from flask import Flask

MAX_LENGTH = 512
LONGER = {
    # A token signed with a large RSA key has more than a thousand characters.
    "HTTP_AUTHORIZATION": 4096,
    "HTTP_COOKIE": 4096,
    # Lists of entity tags.
    "HTTP_IF_MATCH": 4096,
    "HTTP_IF_NONE_MATCH": 4096,
}
# Proxies add to these at the right end, and they are read from there.
READ_FROM_THE_RIGHT = ("HTTP_X_FORWARDED_FOR", "HTTP_FORWARDED")


def init_app(app: Flask) -> None:
    """Cut the headers of every request, before all other code sees it."""
    app.wsgi_app = _HeaderCutter(app.wsgi_app)  # type: ignore[method-assign]


class _HeaderCutter:
    def __init__(self, behind: Any) -> None:
        self.behind = behind

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        for name, value in environ.items():
            # The length comes first: nearly every header of nearly every request is short.
            if (
                isinstance(value, str)
                and len(value) > MAX_LENGTH
                and (name.startswith("HTTP_") or name == "CONTENT_TYPE")
            ):
                environ[name] = cut(name, value)
        return self.behind(environ, start_response)  # type: ignore[no-any-return]


def cut(name: str, value: str) -> str:
    """The part of a header that is read. ``name`` is that of the WSGI variable."""
    most = LONGER.get(name, MAX_LENGTH)
    if len(value) <= most:
        return value
    if name in READ_FROM_THE_RIGHT:
        # Drop the element that is cut in two: half an address is another address.
        return value[-most:].partition(",")[2]
    return value[:most]
