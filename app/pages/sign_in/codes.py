"""Which code a page asks for: of the authenticator app, or a recovery code."""

from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import urlencode

from flask import request

from app.auth.mfa import methods
from app.pages import next_path
from app.pages.forms import Form

# The other kinds of proofs are not typed.
TYPED = ("otp", "recovery_code")
# Where a wrong proof is said to be wrong.
FIELDS = (*TYPED, "credential")


@dataclass(frozen=True)
class Codes:
    """``field`` is asked for. ``other`` could be given instead, and ``path`` asks for it."""

    field: str | None
    other: str | None
    path: str


def asked_for(usable: Iterable[str], form: Form) -> Codes:
    """Choose the code that the page asks for. ``usable`` names the proofs that the user can give.

    It is the code that was just sent, else the one that ``use`` in the query
    names, else that of the app.
    """
    names = set(usable)
    fields = [one.field for one in methods.declared() if one.name in names and one.field in TYPED]
    wanted = next((name for name in fields if name in form.values), request.args.get("use"))
    field = wanted if wanted in fields else next(iter(fields), None)
    other = next((name for name in fields if name != field), None)
    query = urlencode({"use": other or "", "next": next_path.wanted()})
    return Codes(field, other, f"{request.path}?{query}")
