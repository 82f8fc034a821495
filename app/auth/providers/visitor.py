"""Somebody as a provider describes them."""

import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from app.auth.providers.errors import ProviderFailed
from app.auth.providers.settings import Provider
from app.http.strict_json import is_storable
from app.security import identifiers

MAX_SUBJECT_LENGTH = 255
MAX_LABEL_LENGTH = 254


@dataclass(frozen=True)
class Visitor:
    """Who somebody is at a provider.

    ``issuer`` and ``subject`` are the identity. ``email`` is the address in its
    canonical form, and ``is_email_proved`` says whether the provider is
    believed that it is theirs. ``label`` and ``username`` are only shown and
    suggested.
    """

    issuer: str
    subject: str
    label: str
    username: str
    email: str | None
    is_email_proved: bool


def described_by(provider: Provider, claims: Mapping[str, Any]) -> Visitor:
    """The visitor whom these claims describe. Raises ``ProviderFailed`` for a bad ``sub``."""
    subject = claims.get("sub")
    if not isinstance(subject, str) or not 1 <= len(subject) <= MAX_SUBJECT_LENGTH:
        raise ProviderFailed("sub is missing or too long")
    if not is_storable(subject):
        raise ProviderFailed("sub has characters that cannot be stored")
    email = _canonical(claims.get("email"))
    names = [*(claims.get(name) for name in ("email", "preferred_username", "name")), subject]
    shown = [text for name in names if (text := _on_one_line(name))]
    hints = [claims.get("preferred_username"), email, claims.get("name")]
    return Visitor(
        issuer=provider.issuer,
        subject=subject,
        label=next(iter(shown), "")[:MAX_LABEL_LENGTH],
        username=next((text for hint in hints if (text := _on_one_line(hint))), ""),
        email=email,
        is_email_proved=_is_proved(provider, claims, email),
    )


def _is_proved(provider: Provider, claims: Mapping[str, Any], email: str | None) -> bool:
    """Whether the provider proves that the mailbox is theirs.

    It must say so with a real ``true``, and it must be one that gives out the
    addresses of the domain. Elsewhere anybody could make an account at it with
    the address of somebody else.
    """
    if email is None or claims.get("email_verified") is not True:
        return False
    return email.rpartition("@")[2] in provider.domains


def _canonical(text: Any) -> str | None:
    """The address as an account would have it; ``None`` if no account could."""
    if not isinstance(text, str):
        return None
    try:
        return identifiers.canonical_new_email(text)
    except identifiers.InvalidEmail:
        return None


def _on_one_line(text: Any) -> str:
    """A text without characters that hide or reorder others."""
    if not isinstance(text, str) or not is_storable(text):
        return ""
    visible = (c for c in text[:1000] if unicodedata.category(c) not in ("Cc", "Cf", "Zl", "Zp"))
    return "".join(visible).strip()
