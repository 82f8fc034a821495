"""JSON as the contract wants it: one object, every key once, nothing that a database cannot hold.

Python's ``json`` accepts text that proxies, databases and other languages
read in another way: duplicate keys (the last wins), NaN and Infinity, numbers
that overflow to infinity, lists and scalars where an object belongs. Database
drivers fail at NUL and lone surrogates. All of this is refused here, for
``request.get_json()`` in any blueprint too.
"""

import json
import math
import re
from collections.abc import Iterator
from typing import Any

from flask.json.provider import DefaultJSONProvider

from app.errors import MalformedJSON, ValidationFailed
from app.field_errors import UNSTORABLE, told

MAX_DEPTH = 20

STRING = re.compile(r'"(?:[^"\\]|\\.)*"')
EMPTY = re.compile(r"\[\]|\{\}")
NO_BRACKET = re.compile(r"[^\[\]{}]+")
UNSTORABLE_CHARACTER = re.compile("[\0\ud800-\udfff]")
# NUL and surrogates, as they are or escaped. A pair of surrogates is a character and can be stored.
MAY_BE_UNSTORABLE = re.compile("[\0\ud800-\udfff]|\\\\u(?:0000|[dD][89a-fA-F])")


class StrictJSONProvider(DefaultJSONProvider):
    sort_keys = False
    ensure_ascii = False

    def loads(self, s: str | bytes, **kwargs: Any) -> Any:
        """One JSON object. Raises ``MalformedJSON``, or ``ValidationFailed`` for characters."""
        try:
            text = s if isinstance(s, str) else s.decode("utf-8")
            value = json.loads(
                text,
                object_pairs_hook=_each_key_once,
                parse_constant=_refuse_constant,
                parse_float=_finite,
            )
        except RecursionError:
            raise MalformedJSON from None
        except ValueError:
            # Covers JSONDecodeError, UnicodeDecodeError and integers of thousands of digits.
            raise MalformedJSON from None
        if not isinstance(value, dict):
            raise MalformedJSON
        if _is_deeper_than(MAX_DEPTH, text):
            raise MalformedJSON
        # Search the text first: a walk over 20,000 elements takes long, and few bodies need one.
        paths, more = told(_unstorable(value)) if MAY_BE_UNSTORABLE.search(text) else ([], 0)
        if paths:
            raise ValidationFailed([UNSTORABLE.at(path) for path in paths], left_out=more)
        return value


def is_storable(text: str) -> bool:
    """Whether both databases can hold the text: no NUL, no lone surrogate."""
    return UNSTORABLE_CHARACTER.search(text) is None


def _each_key_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) != len(pairs):
        raise MalformedJSON
    return value


def _refuse_constant(name: str) -> None:
    raise MalformedJSON


def _finite(digits: str) -> float:
    number = float(digits)
    if not math.isfinite(number):
        raise MalformedJSON
    return number


def _is_deeper_than(levels: int, text: str) -> bool:
    """Whether lists and objects of this valid JSON are nested deeper than ``levels``.

    Each step removes the innermost level, in a few calls for any number of elements.
    """
    brackets = NO_BRACKET.sub("", STRING.sub("", text))
    for _ in range(levels):
        brackets = EMPTY.sub("", brackets)
    return bool(brackets)


def _unstorable(value: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    if isinstance(value, str):
        if not is_storable(value):
            yield path
    elif isinstance(value, dict):
        for key, item in value.items():
            # A key that cannot be stored cannot be named in the answer either.
            yield from _unstorable(item, (*path, key)) if is_storable(key) else (path,)
    elif isinstance(value, list):
        for index, item in enumerate(value):
            # Strings are looked at here: a call for each of 7,000 would take twice the time.
            if not isinstance(item, str):
                yield from _unstorable(item, (*path, index))
            elif not is_storable(item):
                yield (*path, index)
