"""Asking Have I Been Pwned about a password, without telling it the password.

The service gets the first 5 of the 40 digits of the SHA-1, which about two
thousand stolen passwords share, and answers with all of them (k-anonymity).
"""

import logging
import re

from app.security.outbound.fetching import OutboundFailed, fetch
from config import settings

log = logging.getLogger(__name__)

SECONDS = 2.0
SHOWN_DIGITS = 5
LINE = re.compile(r"([0-9A-Fa-f]{35}):([0-9]{1,12})")
# With padding, the size of the answer does not tell an eavesdropper which digits were asked for.
# The service refuses callers that do not say who they are.
HEADERS = {"Add-Padding": "true", "User-Agent": "flask-user-system"}


def has(digest: bytes) -> bool | None:
    """Whether the password with this SHA-1 was stolen; ``None`` if the service does not say."""
    digits = digest.hex().upper()
    shown, hidden = digits[:SHOWN_DIGITS], digits[SHOWN_DIGITS:]
    try:
        answer = fetch(
            f"{settings.breached_passwords_url}/{shown}", headers=HEADERS, seconds=SECONDS
        )
        if answer.status != 200:
            raise OutboundFailed("bad_answer", f"it answered with the status {answer.status}")
        return _count(answer.body, hidden) > 0
    except OutboundFailed as failure:
        # The digits stay out of the log: they are a part of the password's hash.
        log.warning(
            "PASSWORD_BREACHED_URL did not say whether a new password is breached, so the "
            "password is accepted: %s",
            failure,
        )
        return None


def _count(body: bytes, hidden: str) -> int:
    """How often the password was stolen. Lines of padding have the count 0."""
    counts = {}
    for line in body.decode("ascii", "replace").splitlines():
        found = LINE.fullmatch(line)
        if not found:
            raise OutboundFailed("bad_answer", "its answer is not a list of hashes")
        counts[found[1].upper()] = int(found[2])
    if not counts:
        raise OutboundFailed("bad_answer", "its answer is empty")
    return counts.get(hidden, 0)
