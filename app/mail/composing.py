"""Writing a mail: its headers, and a body of ASCII lines.

Python's ``email`` parses the value of each header. It would find a second
recipient after a comma, and read the address ``=?utf-8?q?ada?=@example.org``
as ``ada@example.org``, which belongs to another person. So this module writes
each header itself, and ``email`` does not change it.
"""

import hashlib
import re
from email.header import Header
from email.message import EmailMessage
from email.policy import SMTP, EmailPolicy
from email.utils import formatdate
from functools import cached_property

from flask import Flask, render_template

from app.mail.content import Content, link
from config import SettingsRefused, settings
from configuration.mail import Sender, sender

# With 7 bits, servers that do not know 8BITMIME accept the mail as well (RFC 6152 §3).
POLICY = SMTP.clone(cte_type="7bit")
# RFC 5322 §2.1.1 allows 998 characters on a line and recommends 78.
LINE, LONG_LINE = 76, 800
# A host of this length fits into the column of the Message-ID, with a UUID and <@>.
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

    ``EmailPolicy`` does not parse a value that has a ``name``, and calls its
    ``fold``.
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
        # Some mail servers decode encoded words even in the envelope, and would deliver the mail to
        # another person.
        if not MAILBOX.fullmatch(to) or "=?" in to:
            raise NotAMailbox(to)
        self.to, self.subject, self.text = to, subject, text
        self.sender = sender(settings.mail_from)
        self._message = EmailMessage(policy=POLICY)
        for name, value in (
            ("Message-ID", message_id),
            ("From", _mailbox_header(self.sender.name or settings.brand_name, self.sender.address)),
            ("To", to),
            ("Subject", _text_header("Subject", subject)),
            ("Date", formatdate()),
            # This asks other programs not to send out-of-office answers (RFC 3834).
            ("Auto-Submitted", "auto-generated"),
        ):
            self._message[name] = _Literal(name, value)
        self._message.set_content(text)
        self._message.add_alternative(html, subtype="html")

    @cached_property
    def as_bytes(self) -> bytes:
        """The whole mail, with the line ends of SMTP."""
        return self._message.as_bytes()


def compose(content: Content, *, to: str, message_id: str) -> Letter:
    """Write the mail for this content. Raises ``NotAMailbox``."""
    return Letter(
        to=to,
        message_id=message_id,
        subject=content.subject,
        text=plain_text(content),
        html=render_template(f"{content.template}.html", content=content),
    )


def plain_text(content: Content) -> str:
    return render_template(f"{content.template}.txt", content=content)


def message_id(unique: object) -> str:
    return f"<{unique}@{_message_id_host(sender(settings.mail_from))}>"


def check(app: Flask) -> None:
    """Write a mail at the start, to find out whether one can be written with these settings.

    Raises ``SettingsRefused`` if not.
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
                f"MAIL_FROM is {settings.mail_from!r}. A mail from it cannot be written: {error}. "
                "Write a sender like Example <no-reply@example.com>."
            ) from error
        if settings.templates_dir:
            _check_templates()


def _check_templates() -> None:
    content = Content("Start", ("A paragraph.",), "A button", link("start", "token"))
    for template in ("mail.txt", "mail.html"):
        try:
            render_template(template, content=content)
        except Exception as error:
            raise SettingsRefused(
                f"TEMPLATES_DIR has templates from which {template} cannot be made: "
                f"{type(error).__name__}: {error}. Correct them, or remove them."
            ) from error


def _mailbox_header(name: str, address: str) -> str:
    name = _phrase(name)
    # The address gets a line of its own if it does not fit after the last line of the name.
    is_long = len(name.rpartition("\n")[2]) + len(address) + len("From:  <>") > LINE
    return f"{name}{chr(10) if is_long else ''} <{address}>"


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
    """Write the text as encoded words (RFC 2047), folded."""
    return Header(text, "utf-8", header_name=name, maxlinelen=LINE).encode(linesep="\n")


def _message_id_host(sender: Sender) -> str:
    """Return the sender's domain, or as many of its last labels as fit.

    It may be shortened, because the part before it is unique already.
    """
    host = sender.address.rpartition("@")[2]
    while len(host) > MAX_MESSAGE_ID_HOST and host.count(".") > 1:
        host = host.partition(".")[2]
    if len(host) <= MAX_MESSAGE_ID_HOST:
        return host
    return hashlib.sha256(host.encode()).hexdigest()[:32] + ".invalid"
