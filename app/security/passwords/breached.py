"""Whether a new password is known from a theft elsewhere (NIST SP 800-63B-4 §3.1.1.2).

People use a password in several places. Attackers try the stolen pairs of
address and password everywhere (credential stuffing), and guess with lists of
stolen passwords.
"""

import hashlib
from functools import cache
from pathlib import Path

from flask import Flask

from app.observability.metrics import BREACHED_LOOK_UPS
from app.security.passwords import breached_list, breached_range
from app.security.passwords.breached_list import BreachedList, UnfitList
from config import Settings, SettingsRefused, settings


def init_app(app: Flask, settings: Settings) -> None:
    """Open the list. Raises ``SettingsRefused`` if it is not one."""
    if settings.breached_passwords != "off":
        _open(settings)


def is_breached(password: str) -> bool:
    """Whether the password, in NFC, is in the list or at Have I Been Pwned.

    The second may take two seconds. Give the database connection back before.
    A password counts as it is typed: other people's ``Password`` says nothing
    about ``pAssword``.
    """
    if settings.breached_passwords == "off":
        return False
    digest = hashlib.sha1(password.encode(), usedforsecurity=False).digest()
    is_found: bool | None = digest in _open(settings)
    if not is_found and settings.breached_passwords == "hibp":
        is_found = breached_range.has(digest)
    result = {True: "breached", False: "not_breached", None: "unavailable"}[is_found]
    BREACHED_LOOK_UPS.labels(result).inc()
    # A service of others that is away must not keep people from setting a password.
    return bool(is_found)


def _open(settings: Settings) -> BreachedList:
    path = settings.breached_passwords_file or breached_list.SHIPPED
    try:
        return _mapped(path)
    except (OSError, UnfitList) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise SettingsRefused(
            f"PASSWORD_BREACHED_FILE: {path} cannot be used: {reason}. To make a list, "
            "run `PASSWORD_BREACHED=off flask passwords build-breached --help`."
        ) from None


@cache
def _mapped(path: Path) -> BreachedList:
    return breached_list.read(path)
