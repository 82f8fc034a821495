"""The settings of API keys."""

import re
from dataclasses import dataclass

from configuration.refusals import Wrong
from configuration.table import variable
from configuration.values import integer

# How long a key works if nobody says how long.
USUAL_DAYS = 90
MOST_DAYS = 3660


def key_prefix(text: str) -> str:
    if not re.fullmatch(r"[a-z](?:[a-z0-9_]{0,18}[a-z0-9])?", text):
        raise Wrong(
            f"is {text!r}, with which no API key can begin. Write 1 to 20 of the characters a-z, "
            "0-9 and _, with a letter first and no _ at the end."
        )
    return text


@dataclass(frozen=True, kw_only=True)
class KeySettings:
    prefix: str = variable("KEY_PREFIX", "us", key_prefix)
    max_days: int = variable("KEY_MAX_DAYS", "366", integer(1, MOST_DAYS))
