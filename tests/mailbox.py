"""What was mailed, and the links in it."""

from dataclasses import dataclass, field

import pytest
from flask import Flask

from app.mail import delivery, transport
from app.mail.content import Content


def deliver_due(limit: int = 20) -> int:
    """Deliver what is due in this thread, and say how many mails were tried. Commits.

    The application itself delivers in threads of their own (``app/mail/deliverer.py``).
    """
    for tried in range(limit):
        claimed = delivery.claim(1)
        if not claimed:
            return tried
        delivery.deliver(claimed[0])
    return limit


@dataclass(frozen=True)
class Mail:
    to: str
    subject: str
    text: str
    link: str | None

    @property
    def page(self) -> str:
        """Which page the link opens."""
        assert self.link is not None, self.subject
        return self.link.partition("#")[0].rpartition("/")[2]

    @property
    def token(self) -> str:
        assert self.link is not None, self.subject
        return self.link.partition("#token=")[2]


@dataclass
class Mailbox:
    """Everybody's mail. Nothing is in it before it was delivered."""

    app: Flask
    mails: list[Mail] = field(default_factory=list)

    def collect(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Have mails end up here instead of leaving the house."""
        monkeypatch.setattr(transport, "send", self._send)

    def deliver(self) -> list[Mail]:
        """Deliver what is due: these mails, the oldest first."""
        already = len(self.mails)
        with self.app.app_context():
            while deliver_due(limit=1):
                pass
        return self.mails[already:]

    def token(self, page: str, to: str | None = None) -> str:
        """Deliver what is due, and read the token of the newest link to a page."""
        self.deliver()
        found = [mail for mail in self.mails if mail.link and to in (None, mail.to)]
        return [mail.token for mail in found if mail.page == page][-1]

    def _send(self, content: Content, *, to: str, message_id: str) -> None:
        assert message_id
        lines = [*content.paragraphs, *(f"{name}: {value}" for name, value in content.facts)]
        self.mails.append(Mail(to, content.subject, "\n".join(lines), content.link))
