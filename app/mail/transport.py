"""How a message leaves the house: SMTP, a folder of files, or the console. MAIL_URL says which."""

import smtplib
import ssl
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from email.message import EmailMessage
from email.utils import formatdate
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit

from flask import render_template

from app.mail.messages import Content
from config import settings

# A server that says nothing for so long is taken for away.
TIMEOUT_SECONDS = 15


class Refused(Exception):
    """The mail server will not take this message, now or later."""


def send(content: Content, *, to: str, message_id: str) -> None:
    """Deliver one message. Raises ``Refused``, or anything else where it is worth another try."""
    message = EmailMessage()
    message["Message-ID"] = message_id
    message["From"] = settings.mail_from
    message["To"] = to
    message["Subject"] = content.subject
    message["Date"] = formatdate()
    # RFC 3834: no out-of-office answers, please.
    message["Auto-Submitted"] = "auto-generated"
    message.set_content(render_template("mail.txt", content=content))
    message.add_alternative(render_template("mail.html", content=content), subtype="html")

    url = urlsplit(settings.mail_url)
    match url.scheme:
        case "console":
            text = message.get_body(("plain",))
            print(  # noqa: T201 — this is what the console is for
                f"\n── mail to {to}: {content.subject}\n{text.get_content() if text else ''}",
                file=sys.stderr,
                flush=True,
            )
        case "file":
            folder = Path(unquote(url.path))
            folder.mkdir(parents=True, exist_ok=True)
            # The same message again takes the place of the first.
            name = message_id.strip("<>").partition("@")[0]
            unfinished = folder / f"{name}.part"
            unfinished.write_bytes(message.as_bytes())
            unfinished.replace(folder / f"{name}.eml")
        case _:
            _send_by_smtp(message)


def _send_by_smtp(message: EmailMessage) -> None:
    try:
        with _smtp() as server:
            server.send_message(message)
    # What a server says before it knows the recipient is about itself or us, not this message.
    except smtplib.SMTPRecipientsRefused as error:
        ((code, reason),) = error.recipients.values()
        _raise_if_final(code, reason)
        raise
    except smtplib.SMTPDataError as error:
        _raise_if_final(error.smtp_code, error.smtp_error)
        raise


def _raise_if_final(code: int, reason: bytes | str) -> None:
    """RFC 5321 §4.2.1: a 5yz answer will be the same the next time."""
    if 500 <= code < 600:
        said = reason.decode(errors="replace") if isinstance(reason, bytes) else reason
        raise Refused(f"{code} {said}")


@contextmanager
def _smtp() -> Iterator[smtplib.SMTP]:
    url = urlsplit(settings.mail_url)
    tls = parse_qs(url.query).get("tls", [""])[0]
    host, port = url.hostname or "localhost", url.port or 25
    server = (
        smtplib.SMTP_SSL(host, port, timeout=TIMEOUT_SECONDS, context=ssl.create_default_context())
        if tls == "tls"
        else smtplib.SMTP(host, port, timeout=TIMEOUT_SECONDS)
    )
    try:
        if tls == "starttls":
            server.starttls(context=ssl.create_default_context())
        if url.username:
            server.login(unquote(url.username), unquote(url.password or ""))
        yield server
    finally:
        # A server that is too busy to say goodbye has taken the message all the same.
        with suppress(smtplib.SMTPException, OSError):
            server.quit()
        server.close()
