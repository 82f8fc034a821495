"""Names that look like others: the skeletons of UTS 39, for comparing with ASCII words.

Two texts look alike where their skeletons are the same. ``lookalikes.txt``
has the part of Unicode's table that leads to ASCII letters, and says where
it comes from.
"""

import unicodedata
from collections.abc import Collection
from functools import cache
from pathlib import Path

# How many times the table is applied to a text. The table of today needs two steps; the limit
# prevents an endless loop.
MAX_STEPS = 4


def looks_like_any(name: str, words: Collection[str]) -> bool:
    """Whether a username, in NFC, looks like one of these words in lower-case ASCII.

    The words are compared in capitals as well, because a username keeps its
    case. A name in plain lower-case ASCII letters is compared only in lower
    case: otherwise ``mall`` would look like ``MAIL``, because a capital I
    looks like an l. A 1 looks like an l and like an i.
    """
    normal = unicodedata.normalize("NFKC", name)
    looks = {_settled(normal), _settled(normal.replace("1", "i"))}
    is_plain = name.isascii() and name.isalpha() and name.islower()
    return not looks.isdisjoint(_looks_of(frozenset(words), capitals=not is_plain))


@cache
def _looks_of(words: frozenset[str], *, capitals: bool) -> frozenset[str]:
    small = {_settled(word) for word in words}
    return frozenset(small | {_settled(word.upper()) for word in words} if capitals else small)


def _settled(text: str) -> str:
    """Return the skeleton (UTS 39 §4), ignoring case. Texts that look alike have the same one."""
    for _ in range(MAX_STEPS):
        before = text
        text = unicodedata.normalize("NFD", text).translate(_prototypes()).casefold()
        if text == before:
            break
    return text


@cache
def _prototypes() -> dict[int, str]:
    table = Path(__file__).with_name("lookalikes.txt").read_text(encoding="utf-8")
    lines = [line.split() for line in table.splitlines() if not line.startswith("#")]
    return {ord(one): prototype for prototype, *alike in lines for one in alike}
