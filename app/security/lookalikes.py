"""Names that look like others: the skeletons of UTS 39, for comparing with ASCII words.

Two texts look alike where their skeletons are the same. ``lookalikes.txt``
has the part of Unicode's table that leads to ASCII letters, and says where
it comes from.
"""

import unicodedata
from collections.abc import Collection
from functools import cache
from pathlib import Path

# How often one look-alike may stand for another. The table needs two; more would mean a loop.
MAX_STEPS = 4


def looks_like_any(name: str, words: Collection[str]) -> bool:
    """Whether a username, in NFC, looks like one of these words in lower-case ASCII.

    The words may be meant in capitals as well, since a username keeps its
    case. But a name in plain lower-case letters is what it says: ``mall`` is
    not ``MAIL`` because a capital I looks like an l.
    """
    looks = _settled(unicodedata.normalize("NFKC", name))
    if name.isascii() and name.isalpha() and name.islower():
        return looks in _looks_of(frozenset(words), capitals=False)
    return looks in _looks_of(frozenset(words), capitals=True)


@cache
def _looks_of(words: frozenset[str], *, capitals: bool) -> frozenset[str]:
    small = {_settled(word) for word in words}
    return frozenset(small | {_settled(word.upper()) for word in words} if capitals else small)


def _settled(text: str) -> str:
    """The skeleton (UTS 39 §4) without regard to case: the same for texts that look alike."""
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
