"""Turn the text of a setting into its value, or raise ``Wrong`` with the reason.

The reason is the end of a sentence that begins with the variable's name.
"""

import base64
import re
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import TypeVar
from urllib.parse import urlsplit

from limits import RateLimitItem, parse_many

from configuration.refusals import Wrong

# The id of a signing key: it becomes a file name, and every token names it.
KEY_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")

T = TypeVar("T")


def boolean(text: str) -> bool:
    if text not in ("true", "false"):
        raise Wrong(f"is {text!r}, which is neither true nor false. Write true or false.")
    return text == "true"


def integer(low: int, high: int, also: tuple[int, ...] = ()) -> Callable[[str], int]:
    def parse(text: str) -> int:
        if not re.fullmatch(r"[0-9]{1,9}", text):
            raise Wrong(
                f"is {text!r}, which is not a whole number. Write one from {low} to {high}."
            )
        number = int(text)
        if not low <= number <= high and number not in also:
            raise Wrong(f"is {number}, which is out of range. Write a number from {low} to {high}.")
        return number

    return parse


def span(unit: str, *, zero_allowed: bool = False) -> Callable[[str], timedelta]:
    """A length of time in ``unit``; it may be a fraction."""

    def parse(text: str) -> timedelta:
        if not re.fullmatch(r"[0-9]{1,9}(\.[0-9]{1,9})?", text):
            raise Wrong(f"is {text!r}, which is not a number of {unit}. Write one like 15 or 0.5.")
        try:
            length = timedelta(**{unit: float(text)})
        except OverflowError:
            length = timedelta.max
        if not length and not zero_allowed:
            raise Wrong(f"must be greater than 0. Write a number of {unit}.")
        if length > timedelta(days=3650):
            raise Wrong(f"is {text} {unit}, which is more than ten years. Write a smaller number.")
        return length

    return parse


minutes = span("minutes")
days = span("days")
days_or_zero = span("days", zero_allowed=True)
hours = span("hours")
hours_or_zero = span("hours", zero_allowed=True)
seconds_or_zero = span("seconds", zero_allowed=True)


def one_of(*values: str) -> Callable[[str], str]:
    def parse(text: str) -> str:
        if text not in values:
            raise Wrong(f"is {text!r}, which is not one of {', '.join(values)}. Write one of them.")
        return text

    return parse


def list_of(parse_item: Callable[[str], T]) -> Callable[[str], list[T]]:
    def parse(text: str) -> list[T]:
        return [parse_item(item.strip()) for item in text.split(",") if item.strip()]

    return parse


def public_url(text: str) -> str:
    pattern = r"https?://[A-Za-z0-9.-]+(:[0-9]{1,5})?(/[A-Za-z0-9._~/-]*)?"
    if not re.fullmatch(pattern, text) or not _has_port(text):
        raise Wrong(
            f"is {text!r}, which is not an http or https URL without a query. "
            "Write one like https://accounts.example.com."
        )
    return text.rstrip("/")


def server_url(text: str) -> str:
    """The address of another server; the same form."""
    return public_url(text)


def _has_port(url: str) -> bool:
    """Whether the port is valid, if there is one."""
    try:
        return urlsplit(url).port != 0
    except ValueError:
        return False


def folder(text: str) -> Path | None:
    if text and not Path(text).is_dir():
        raise Wrong(f"is {text!r}, which is not a folder. Write the path of one that exists.")
    return Path(text) if text else None


def feature_name(text: str) -> str:
    if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_.-]*(:[A-Za-z_][A-Za-z0-9_.]*)?", text):
        raise Wrong(
            f"has {text!r}, which is not the name of a feature. Write names like acme_billing or "
            "acme_billing:FEATURE, separated by commas."
        )
    return text


def file(text: str) -> Path | None:
    if text and not Path(text).is_file():
        raise Wrong(f"is {text!r}, which is not a file. Write the path of one that exists.")
    return Path(text).resolve() if text else None


def key_id(text: str) -> str:
    if text and not KEY_ID.fullmatch(text):
        raise Wrong(
            f"is {text!r}, which is not a key id. Write letters, digits, _ and -, 64 at most."
        )
    return text


def redis_url(text: str) -> str:
    """Check the options too: the client would refuse a wrong one only when it connects."""
    server = r"rediss?://([^\s/?#@]*@)?[^\s/?#@]+(/[0-9]{0,4})?(\?ssl_ca_certs=/[^\s&#]+)?"
    # The message never repeats the value, because it may hold the password.
    if text and not (
        re.fullmatch(rf"{server}|unix://([^\s/?#@]*@)?/[^\s?#]+(\?db=[0-9]{{1,4}})?", text)
        and _has_port(text)
    ):
        raise Wrong(
            "cannot be read as the address of a Redis server. Write redis://host:6379/0, "
            "rediss://user:password@host:6379/0 or unix:///path/of/the/socket."
        )
    return text


def rate_limits(text: str) -> list[RateLimitItem]:
    """Rate limits in the notation of the library ``limits``."""
    example = "Write limits like 60 per minute; 600 per hour."
    try:
        # The library also reads "5 per minute:; 6 per hour".
        found = parse_many(text.replace(":", "?"))
    except ValueError:
        raise Wrong(f"is {text!r}, which is not a rate limit. {example}") from None
    # The library reads a multiple of 0, as in "5 per 0 minutes", as 1.
    multiples = re.findall(r"(?:/|per)\s*([0-9]+)", text, re.IGNORECASE)
    if not all(1 <= limit.amount <= 10**9 for limit in found) or not all(
        1 <= int(multiple) <= 10**6 for multiple in multiples
    ):
        raise Wrong(
            f"is {text!r}, which has a number that is 0 or too large. {example} "
            "RATELIMIT_ENABLED=false turns all limits off."
        )
    return found


def secret_key(text: str) -> str:
    if text and (len(text.encode()) < 32 or len(set(text)) < 12):
        raise Wrong(
            "is too weak: it needs at least 32 bytes and 12 different characters. Write one made "
            'by `python3 -c "import secrets; print(secrets.token_urlsafe(48))"`.'
        )
    return text


def metrics_token(text: str) -> str:
    if text and not re.fullmatch(r"[A-Za-z0-9._~+/=-]{16,}", text):
        raise Wrong(
            "cannot be sent as a Bearer token, or is shorter than 16 characters. Write one made by "
            '`python3 -c "import secrets; print(secrets.token_urlsafe(32))"`.'
        )
    return text


def secrets_by_id(text: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for item in filter(None, text.split(",")):
        key_id, colon, secret = item.partition(":")
        if not colon or not re.fullmatch(r"[A-Za-z0-9_]{1,16}", key_id):
            raise Wrong("has an entry without an id. Write id:secret,id:secret, newest first.")
        if key_id in found:
            raise Wrong(f"has the id {key_id!r} twice. Give each secret its own id.")
        if len(secret.encode()) < 32:
            raise Wrong(
                f"has a secret shorter than 32 bytes with the id {key_id!r}. Write a longer one."
            )
        found[key_id] = secret
    return found


def firebase_signer_key(text: str) -> str:
    try:
        length = len(base64.b64decode(text, validate=True))
    except ValueError:
        length = -1
    # A hash of Firebase is this key, encrypted with the password. If it were short, a wrong
    # password could match by chance.
    if text and not 16 <= length <= 64:
        raise Wrong(
            "is not a signer key of Firebase. Write the base64_signer_key as the console shows it, "
            "in base64 with the = signs at the end."
        )
    return text


def is_repetition(text: str) -> bool:
    """Whether the text repeats a shorter piece; the last repetition may be cut off."""
    return any(
        (text[:size] * (len(text) // size + 1)).startswith(text)
        for size in range(1, len(text) // 2 + 1)
    )
