"""One sentence that the next page shows: "Your password is changed."

A page answers a good POST with a redirect, so the sentence is for the page
after it. A cookie carries only the key of a sentence that is declared here, so
nobody can put words of their own on a page.
"""

from collections.abc import Callable

from flask import Response, request
from flask_babel import gettext

from app.access import cookies

COOKIE = "__Host-notice"
# A redirect takes less.
LIFETIME_SECONDS = 60

# What a sentence says of the settings: the function that reads it, by its name in the sentence.
Values = dict[str, Callable[[], str]]

_sentences: dict[str, str] = {}
_values: dict[str, Values] = {}
_refusals: set[str] = set()


class Notice(str):
    """The key of a sentence."""


class Shown(str):
    """A sentence as a page shows it."""

    # Whether it says that something did not work.
    is_refusal = False


def declare(
    key: str, sentence: str, *, is_refusal: bool = False, **values: Callable[[], str]
) -> Notice:
    """Make a sentence known. Each key is declared once, beside the page that uses it.

    ``%(days)s`` in it becomes what the function ``days`` returns.
    """
    if _sentences.setdefault(key, sentence) != sentence:
        raise ValueError(f"Another notice has the key {key}.")
    _values[key] = values
    if is_refusal:
        _refusals.add(key)
    return Notice(key)


def sentences() -> list[str]:
    """All sentences that pages may show."""
    return list(_sentences.values())


def sentence_of(notice: Notice) -> str:
    """The sentence, in the language of the page."""
    return str(gettext(_sentences[notice]))


def leave(response: Response, notice: Notice) -> None:
    """Let the next page show the notice."""
    cookies.write(response, COOKIE, str(notice), max_age=LIFETIME_SECONDS)


def waiting() -> Shown | None:
    """The sentence that this page must show, if there is one."""
    key = request.cookies.get(COOKIE, "")
    if key not in _sentences:
        return None
    shown = Shown(gettext(_sentences[key], **{name: of() for name, of in _values[key].items()}))
    shown.is_refusal = key in _refusals
    return shown


def clear(response: Response) -> None:
    """Forget the notice, once a page has shown it."""
    if COOKIE in request.cookies:
        cookies.write(response, COOKIE, "", max_age=0)
