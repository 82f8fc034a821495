"""The CBOR of authenticators: plain items, and nothing that is costly to read (RFC 8949).

CTAP 2.1 §8 allows authenticators neither tags nor items of indefinite length,
and no more than four levels. Other CBOR is dangerous: with the tags of shared
values, 400 bytes stand for a value that fills the memory as soon as somebody
writes it again, and py_webauthn does. So bytes are walked through here before
the library gets them.
"""

DEEPEST = 4

UNSIGNED, NEGATIVE, BYTES, TEXT, LIST, MAP, TAG, SIMPLE = range(8)


class NotPlain(Exception):
    """The bytes are not plain CBOR."""


def refuse_unless_plain(data: bytes) -> None:
    """Walk through items that follow each other. Raises ``NotPlain``."""
    at = 0
    while at < len(data):
        at = _end_of_item(data, at, levels=DEEPEST)


def _end_of_item(data: bytes, at: int, levels: int) -> int:
    kind, number, at = _head(data, at)
    if kind in (UNSIGNED, NEGATIVE, SIMPLE):
        return at
    if kind in (BYTES, TEXT):
        return _within(data, at + number)
    if kind == TAG or not levels:
        raise NotPlain
    for _ in range(number * (2 if kind == MAP else 1)):
        at = _end_of_item(data, at, levels - 1)
    return at


def _head(data: bytes, at: int) -> tuple[int, int, int]:
    """The kind of an item, its number, and where it goes on."""
    first = data[_within(data, at + 1) - 1]
    kind, number = first >> 5, first & 31
    if number < 24:
        return kind, number, at + 1
    if number > 27:
        raise NotPlain
    end = _within(data, at + 1 + (1 << (number - 24)))
    return kind, int.from_bytes(data[at + 1 : end], "big"), end


def _within(data: bytes, end: int) -> int:
    if end > len(data):
        raise NotPlain
    return end
