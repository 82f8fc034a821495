"""How somebody showed who they are."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

# What a login may carry beside the password. A ticket is not among them: it stands for a first
# proof of its own.
BESIDE_PASSWORD = ("otp", "recovery_code", "device_token")


@dataclass(frozen=True)
class Proof:
    """The proof on which a session begins, or with which it is confirmed.

    ``amr`` names the methods (RFC 8176; ours are ``rc`` for a recovery code
    and ``fed`` for another provider). ``aal`` is 2 where a second factor was
    among them. ``is_fresh`` says whether all of it was given just now.
    ``offered`` holds second proofs that were sent along and that nobody has
    looked at yet. ``device_token`` is the next one of a remembered device,
    for the answer, and ``device_expires_at`` says how long it works.
    """

    signed_in_by: str = "password"
    amr: tuple[str, ...] = ("pwd",)
    aal: int = 1
    is_fresh: bool = True
    offered: Mapping[str, Any] = field(default_factory=dict)
    device_token: str | None = None
    device_expires_at: datetime | None = None

    def raised(self, *methods: str, is_fresh: bool = True) -> "Proof":
        """The same proof together with a second factor."""
        amr = (*self.amr, *methods, "mfa")
        return replace(self, amr=amr, aal=2, is_fresh=self.is_fresh and is_fresh)


def by_password(given: Mapping[str, Any]) -> Proof:
    """The proof of a right password, with what ``given`` holds beside it."""
    return Proof(offered={name: given[name] for name in BESIDE_PASSWORD if name in given})
