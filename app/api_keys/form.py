"""The form of an API key: ``us_``, 40 random characters, and a checksum of six.

docs/api-keys.md publishes it for programs that look for keys in source code.
With the checksum they are sure of what they found, and a key that somebody
typed wrong is refused without a look into the database.
"""

import re
import secrets
import zlib

from app.api_keys.settings import KeySettings
from config import settings

ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
RANDOM, CHECKSUM, SHOWN = 40, 6, 4
_BODY = re.compile(f"[0-9A-Za-z]{{{RANDOM + CHECKSUM}}}")


def make() -> str:
    """A new key. Its 238 random bits cannot be found by trying."""
    random = "".join(secrets.choice(ALPHABET) for _ in range(RANDOM))
    return f"{_prefix()}_{random}{checksum(random)}"


def checksum(random: str) -> str:
    """The CRC-32 of the random characters, as six digits of base 62."""
    rest, digits = zlib.crc32(random.encode()), ""
    for _ in range(CHECKSUM):
        rest, digit = divmod(rest, len(ALPHABET))
        digits = ALPHABET[digit] + digits
    return digits


def is_key(text: str) -> bool:
    """Whether the text has the form of a key, and the right checksum."""
    prefix, _, body = text.rpartition("_")
    return (
        prefix == _prefix()
        and _BODY.fullmatch(body) is not None
        and checksum(body[:RANDOM]) == body[RANDOM:]
    )


def shown_start(key: str) -> str:
    """The start of a key, by which people recognize it: ``us_4fQz``."""
    return key[: -(RANDOM + CHECKSUM) + SHOWN]


def shown_end(key: str) -> str:
    """The last four of the random characters."""
    return key[-(CHECKSUM + SHOWN) : -CHECKSUM]


def shown(key: str) -> str:
    """What mails show of a key."""
    return f"{shown_start(key)}…{shown_end(key)}"


def _prefix() -> str:
    return settings.of(KeySettings).prefix
