"""The text of a mail in the outbox, for administrators. It shows nothing that gives access."""

import logging
import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from cryptography.fernet import InvalidToken

from app.mail import composing, rendering, wordings
from app.mail.outbox import unseal
from app.models.outbox_message import OutboxMessage

log = logging.getLogger(__name__)

# The arguments of mails that are shown. All others are hidden, numbers too: a feature may mail a
# code or a token under any name.
SHOWN = frozenset(
    {
        *("when", "ip", "device", "due", "inviter", "inviter_email", "new_email", "factor"),
        *("added", "minutes", "left"),
    }
)
HIDDEN = "…"
# Of an address in the text only the host is left.
_ADDRESS = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*://[^\s/?#]*)\S*")


class NoText(StrEnum):
    """Why there is no text to show."""

    DELIVERED = "delivered"
    UNDECIDED = "undecided"
    NOT_OPENED = "not_opened"
    NOT_WRITTEN = "not_written"


@dataclass(frozen=True)
class Preview:
    """The text of a mail without its link."""

    subject: str
    text: str


def preview(row: OutboxMessage) -> Preview | NoText:
    """The mail as plain text, without tokens and links. Ends the transaction.

    The token is replaced before the mail is worded. So it cannot be shown,
    whatever the wording and the templates make of it.
    """
    if row.sealed is None:
        return NoText.DELIVERED
    if wordings.resolver_called(row.message) is not None:
        return NoText.UNDECIDED
    try:
        context = unseal(row.sealed)
    except InvalidToken:
        return NoText.NOT_OPENED
    try:
        content = rendering.worded(row, {name: _shown(name, context[name]) for name in context})
        text = composing.plain_text(content)
    except Exception:
        log.warning("a mail cannot be shown", extra={"message_id": row.message_id}, exc_info=True)
        return NoText.NOT_WRITTEN
    return Preview(_without_links(content.subject), _without_links(text))


def _shown(name: str, value: Any) -> Any:
    if name in SHOWN or value is None or isinstance(value, bool):
        return value
    return 0 if isinstance(value, int | float) else HIDDEN


def _without_links(text: str) -> str:
    return _ADDRESS.sub(rf"\1/{HIDDEN}", text)
