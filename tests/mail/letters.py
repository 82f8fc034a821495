"""Mails put into the outbox and taken out of it, and letters as they arrived."""

import email
import inspect
import re
from collections.abc import Callable
from dataclasses import dataclass
from email import policy
from email.message import EmailMessage
from pathlib import Path
from typing import Any, get_args

from flask import Flask
from sqlalchemy import func, select, update

from app import clock
from app.extensions import db
from app.mail import messages, outbox
from app.models import OutboxMessage, User
from tests.mailbox import deliver_due


@dataclass(frozen=True)
class Letter:
    """A mail as somebody received it."""

    headers: EmailMessage
    text: str
    html: str

    @classmethod
    def parse(cls, raw: bytes) -> "Letter":
        message = email.message_from_bytes(raw, policy=policy.default)
        assert isinstance(message, EmailMessage)
        text, html = message.get_body(("plain",)), message.get_body(("html",))
        assert text is not None
        assert html is not None
        return cls(message, _content(text), _content(html))

    @property
    def link(self) -> str:
        """The one link of the mail."""
        (found,) = re.findall(r"https?://\S+", self.text)
        return str(found)

    @property
    def token(self) -> str:
        return self.link.partition("#token=")[2]


def _content(part: Any) -> str:
    """The text of a part, whatever the ends of its lines are."""
    return str(part.get_content()).replace("\r\n", "\n")


def arguments_of(message: Callable[..., Any]) -> set[str]:
    """The names of what is stored with a mail. ``**occasion: Unpack[Occasion]`` means several."""
    names: set[str] = set()
    for name, parameter in inspect.signature(message).parameters.items():
        if parameter.kind is inspect.Parameter.VAR_KEYWORD:
            names |= get_args(parameter.annotation)[0].__annotations__.keys()
        else:
            names.add(name)
    return names


def read_letters(folder: Path) -> list[Letter]:
    files = sorted(folder.glob("*.eml"), key=lambda file: file.stat().st_mtime_ns)
    return [Letter.parse(file.read_bytes()) for file in files]


def queue(
    app: Flask,
    message: Callable[..., Any] = messages.address_in_use,
    *,
    to: str = "ada@example.com",
    user: User | None = None,
    **context: Any,
) -> int:
    """Put a mail into the outbox, and say its number."""
    with app.app_context():
        outbox.queue(message, to=to, user=user, **context)
        db.session.commit()
        number = db.session.scalar(select(func.max(OutboxMessage.id)))
        assert number is not None
        return number


def deliver(app: Flask) -> int:
    """Try what is due, and say how many that were."""
    with app.app_context():
        return deliver_due(limit=1000)


def make_due(app: Flask) -> None:
    """Let all waits and leases be over."""
    with app.app_context():
        db.session.execute(update(OutboxMessage).values(due_at=clock.now()))
        db.session.commit()


def rows(app: Flask) -> list[OutboxMessage]:
    """What is in the outbox, delivered mails included."""
    with app.app_context():
        found = list(db.session.scalars(select(OutboxMessage).order_by(OutboxMessage.id)))
        db.session.expunge_all()
    return found


def only_row(app: Flask) -> OutboxMessage:
    (row,) = rows(app)
    return row
