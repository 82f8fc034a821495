"""What an error says about single fields, and how much of it an answer has room for.

These are the members of ``errors`` in a problem document. The exceptions
that carry them are in ``app/errors.py``.
"""

import json
from collections.abc import Iterable
from itertools import islice
from typing import TypeVar
from urllib.parse import quote

from flask_babel import gettext

# These limits keep an answer with errors from being much larger than the request that caused it,
# or larger than 16 KiB. Lengths are in characters; a whole pointer has room for one key of 100
# characters, percent-encoded. The bytes are those of the list of errors; the rest of the document
# needs less than 4 KiB.
MAX_ERRORS = 20
MAX_KEY_LENGTH = 100
MAX_POINTER_LENGTH = 1250
MAX_DETAIL_LENGTH = 500
MAX_ERRORS_BYTES = 12 * 1024

T = TypeVar("T")


class Message(str):
    """A sentence about one field, with the code that programs read.

    ``template`` may have places like ``%(most)d`` for the values.
    """

    code: str
    template: str
    values: dict[str, object]

    def __new__(cls, code: str, template: str, **values: object) -> "Message":
        message = super().__new__(cls, template % values if values else template)
        message.code, message.template, message.values = code, template, values
        return message

    def __reduce__(self) -> tuple[type["Message"], tuple[str, str]]:
        return Message, (self.code, str(self))

    def translated(self) -> str:
        """The sentence in the language of the current request."""
        return str(gettext(self.template, **self.values))

    def at(self, path: Iterable[str | int]) -> dict[str, str]:
        """This message about the place in the JSON body, as a member of ``errors``."""
        return {"pointer": json_pointer(path), "code": self.code, "detail": self.translated()}

    def about(self, parameter: str) -> dict[str, str]:
        """This message about a parameter of the query, as a member of ``errors``."""
        return {
            "parameter": parameter[:MAX_KEY_LENGTH],
            "code": self.code,
            "detail": self.translated(),
        }


UNSTORABLE = Message("invalid_characters", "NUL and lone surrogates are not accepted.")
REPEATED = Message("repeated", "May be given only once.")


def json_pointer(path: Iterable[str | int]) -> str:
    """The place as a JSON Pointer in a URI fragment (RFC 6901 §6).

    Long keys are cut. Where the whole path is too long, the pointer names the
    last place on the path that fits.
    """
    pointer = "#"
    for key in path:
        escaped = str(key)[:MAX_KEY_LENGTH].replace("~", "~0").replace("/", "~1")
        part = f"/{quote(escaped, safe='~!$&()*+,;=:@-._')}"
        if len(pointer) + len(part) > MAX_POINTER_LENGTH:
            break
        pointer += part
    return pointer


def told(found: Iterable[T]) -> tuple[list[T], int]:
    """The first flaws, as many as an answer has room for, and the number of the others.

    The others are counted and never kept, because a request of 64 KiB can
    have thousands of flaws.
    """
    rest = iter(found)
    first = list(islice(rest, MAX_ERRORS))
    return first, sum(1 for _ in rest)


def fitting(errors: list[dict[str, str]]) -> list[dict[str, str]]:
    """The first errors, as many as fit into ``MAX_ERRORS_BYTES``."""
    room = MAX_ERRORS_BYTES
    for number, error in enumerate(errors):
        room -= len(json.dumps(error, ensure_ascii=False).encode("utf-8", "surrogatepass"))
        if room < 0:
            return errors[:number]
    return errors


def out_of_range(least: int, most: int) -> Message:
    return Message("out_of_range", "Must be from %(least)d to %(most)d.", least=least, most=most)
