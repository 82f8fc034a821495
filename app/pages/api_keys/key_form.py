"""What the forms of API keys send, as the bodies of the API's calls."""

from collections.abc import Mapping
from typing import Any

from app.pages.forms import OURS

# Each scope has a box of its own, because a form may send a field only once.
SCOPE = "scope."
# How long a key may work, and how long the one before it goes on.
DAYS = (7, 30, 90, 180, 365)
OVERLAPS = ("0", "3600", "86400")


def body_of(typed: Mapping[str, str]) -> dict[str, Any]:
    """The fields of a form as they stand in a JSON body."""
    body: dict[str, Any] = {name: text for name, text in typed.items() if name not in OURS}
    if "networks" in body:
        body["networks"] = body["networks"].replace(",", " ").split()
    for number in ("expires_in_days", "overlap_seconds"):
        # Other texts go on as they are, and the schema refuses them.
        if body.get(number, "").isdecimal() and len(body[number]) < 10:
            body[number] = int(body[number])
    return body


def new_key(typed: Mapping[str, str]) -> dict[str, Any]:
    """The form of a new key, whose boxes are its scopes."""
    body, scopes = body_of(typed), []
    for name in [*body]:
        if name.startswith(SCOPE):
            scopes.append(name.removeprefix(SCOPE))
            del body[name]
    return {**body, "scopes": scopes}
