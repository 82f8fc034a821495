"""How a mail is written: headers from their parts, and a body of ASCII lines.

``email`` would parse what it is given for a header. It would find a second
recipient behind a comma, and read the address ``=?utf-8?q?ada?=@example.org``
as ``ada@example.org``, which is another person's. So each header that we set
is made here, and reaches the mail as it is.
"""

import hashlib
import re
from email.header import Header
from email.message import EmailMessage
from email.policy import SMTP, EmailPolicy
from email.utils import formatdate
from functools import cached_property

from flask import Flask, render_template

from app.mail.messages import Content
from config import SettingsRefused, settings
from config_mail import Sender, sender

# 7 bits: a server need not announce 8BITMIME to take it (RFC 6152 §3).
POLICY = SMTP.clone(cte_type="7bit")
# RFC 5322 §2.1.1 allows 998 characters on a line and recommends 78.
LINE, LONG_LINE = 76, 800
# So much fits into the column of the Message-ID, beside a UUID and <@>.
MAX_MESSAGE_ID_HOST = 61

_ATOM = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+"
_QUOTED = r'"([ !#-\[\]-~]|\\[ -~])*"'
_DOMAIN = r"[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*|\[[0-9A-Fa-f:.]+\]"
# RFC 5321 §4.1.2
MAILBOX = re.compile(rf"({_ATOM}(\.{_ATOM})*|{_QUOTED})@({_DOMAIN})")


class NotAMailbox(ValueError):
    """This is not one address to which a mail could go."""


class _Literal(str):
    """A header's value that ``email`` neither parses nor changes.

    ``EmailPolicy`` leaves alone whatever has a name, and has it fold itself.
    """

    name: str

    def __new__(cls, name: str, value: str) -> "_Literal":
        made = super().__new__(cls, value)
        made.name = name
        return made

    def fold(self, *, policy: EmailPolicy) -> str:
        return f"{self.name}: {self}".replace("\n", policy.linesep) + policy.linesep


class Letter:
    """One mail, ready to be sent."""

    def __init__(self, *, to: str, message_id: str, subject: str, text: str, html: str) -> None:
        # Mail servers exist that decode encoded words even in the envelope, and deliver to another.
        if not MAILBOX.fullmatch(to) or "=?" in to:
            raise NotAMailbox(to)
        self.to, self.subject, self.text = to, subject, text
        self.sender = sender(settings.mail_from)
        self._message = EmailMessage(policy=POLICY)
        for name, value in (
            ("Message-ID", message_id),
            ("From", _mailbox_header(self.sender)),
            ("To", to),
            ("Subject", _text_header("Subject", subject)),
            ("Date", formatdate()),
            # RFC 3834: no out-of-office answers, please.
            ("Auto-Submitted", "auto-generated"),
        ):
            self._message[name] = _Literal(name, value)
        self._message.set_content(text)
        self._message.add_alternative(html, subtype="html")

    @cached_property
    def as_bytes(self) -> bytes:
        """With the line ends of SMTP."""
        return self._message.as_bytes()


def compose(content: Content, *, to: str, message_id: str) -> Letter:
    """Raises ``NotAMailbox``."""
    return Letter(
        to=to,
        message_id=message_id,
        subject=content.subject,
        text=render_template("mail.txt", content=content),
        html=render_template("mail.html", content=content),
    )


def message_id(unique: object) -> str:
    return f"<{unique}@{_message_id_host(sender(settings.mail_from))}>"


def check(app: Flask) -> None:
    """Write one mail, so that settings with which none can be written stop the start.

    Raises ``SettingsRefused``.
    """
    with app.app_context():
        try:
            letter = Letter(
                to=sender(settings.mail_from).address,
                message_id=message_id("start"),
                subject="Start 开始",
                text=f"{settings.public_url} 开始",
                html=f"<p>{settings.public_url} 开始</p>",
            )
            if not letter.as_bytes.isascii():
                raise ValueError("it is not ASCII")
        except Exception as error:
            raise SettingsRefused(
                f"MAIL_FROM is {settings.mail_from!r}, from which no mail can be written: {error}. "
                "Write one like Example <no-reply@example.com>."
            ) from error


def _mailbox_header(sender: Sender) -> str:
    if not sender.name:
        return sender.address
    name = _phrase(sender.name)
    # The last line of a folded name may be full.
    is_long = len(name.rpartition("\n")[2]) + len(sender.address) + len("From:  <>") > LINE
    return f"{name}{chr(10) if is_long else ''} <{sender.address}>"


def _phrase(name: str) -> str:
    if name.isascii() and name.isprintable() and len(name) < LONG_LINE and "=?" not in name:
        return '"' + re.sub(r'(["\\])', r"\\\1", name) + '"'
    return _encoded("From", name)


def _text_header(name: str, text: str) -> str:
    short = len(name) + len(text) < LINE
    if short and text.isascii() and text.isprintable() and "=?" not in text:
        return text
    return _encoded(name, text)


def _encoded(name: str, text: str) -> str:
    """As encoded words (RFC 2047), folded."""
    return Header(text, "utf-8", header_name=name, maxlinelen=LINE).encode(linesep="\n")


def _message_id_host(sender: Sender) -> str:
    """The sender's domain, or as many of its last labels as fit.

    The part before it is unique by itself.
    """
    host = sender.address.rpartition("@")[2]
    while len(host) > MAX_MESSAGE_ID_HOST and host.count(".") > 1:
        host = host.partition(".")[2]
    if len(host) <= MAX_MESSAGE_ID_HOST:
        return host
    return hashlib.sha256(host.encode()).hexdigest()[:32] + ".invalid"
