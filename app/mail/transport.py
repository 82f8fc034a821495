"""How a message leaves the house: SMTP, a folder of files, or the console. MAIL_URL says which."""

import hmac
import re
import smtplib
import socket
import ssl
import sys
import threading
from base64 import b64decode, b64encode
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from tempfile import NamedTemporaryFile

from flask import Flask

from app.mail import composing
from app.mail.composing import Letter
from app.mail.messages import Content
from config import SettingsRefused, settings
from config_mail import mail_folder, mail_server

# A server that says nothing for so long is taken for away.
TIMEOUT_SECONDS = 15
# But for its answer to the message: it may look for viruses first. Who hangs up before that answer
# and tries again delivers twice (RFC 5321 §4.5.3.2.6 and §6.1).
FINAL_TIMEOUT_SECONDS = 600
# More questions than any way of logging in asks.
MOST_CHALLENGES = 5


class Refused(Exception):
    """The mail server will not take this message, now or later."""


class Interrupted(Exception):
    """The delivery was called off before anything was delivered."""


class Line:
    """One delivery, which another thread can call off until the message is handed over."""

    def __init__(self) -> None:
        self._deciding = threading.Lock()
        self._is_final = False
        self._is_cut = False
        self._server: smtplib.SMTP | None = None

    def begin(self, server: smtplib.SMTP) -> None:
        """From now on ``hang_up`` ends the waiting for this server."""
        with self._deciding:
            self._server = server
        self.check()

    def hand_over(self) -> None:
        """From now on it is too late to call it off. Raises ``Interrupted`` if it was already."""
        with self._deciding:
            if self._is_cut:
                raise Interrupted
            self._is_final = True

    def check(self) -> None:
        """Raises ``Interrupted`` if it was called off."""
        if self._is_cut:
            raise Interrupted

    def cut(self) -> bool:
        """Call it off. Returns False if the message is being handed over, or was."""
        with self._deciding:
            self._is_cut = not self._is_final
            return self._is_cut

    def hang_up(self) -> None:
        """Let the thread that waits for the server wait no longer."""
        with self._deciding:
            connection = self._server.sock if self._server else None
        if connection is not None:
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)


# The delivery of this thread.
line: ContextVar[Line] = ContextVar("line")


def send(content: Content, *, to: str, message_id: str) -> None:
    """Deliver one message. Raises ``Refused``, or anything else where it is worth another try."""
    try:
        letter = composing.compose(content, to=to, message_id=message_id)
    except composing.NotAMailbox:
        raise Refused("the recipient is not one address to which mail can go") from None
    mine = line.get(None) or Line()
    match settings.mail_url.partition("://")[0].lower():
        case "console":
            mine.hand_over()
            print(  # noqa: T201 — this is what the console is for
                f"\n── mail to {to}: {letter.subject}\n{letter.text}", file=sys.stderr, flush=True
            )
        case "file":
            mine.hand_over()
            _keep(letter, message_id)
        case _:
            with _smtp(mine) as server:
                _hand_over(server, letter, mine)


def reason_for_the_log(error: Exception) -> str:
    """Why a mail was not delivered, without what a server said: that names the address.

    What the server said stays in the row, for ``flask outbox list``.
    """
    if isinstance(error, Refused):
        code = re.match(r"[0-9]{3}(?![0-9])", str(error))
        # Without a code the words are our own.
        return f"the mail server refuses it with {code[0]}" if code else str(error)
    name = type(error).__name__
    if isinstance(error, smtplib.SMTPRecipientsRefused):
        codes = sorted({str(code) for code, _ in error.recipients.values()})
        return f"{name} {', '.join(codes)}{_destination()}"
    if isinstance(error, smtplib.SMTPResponseException):
        return f"{name} {error.smtp_code}{_destination()}"
    if isinstance(error, smtplib.SMTPException):
        return f"{name}{_destination()}"
    if isinstance(error, OSError) and error.errno is not None:
        return f"{name}: {error.strerror}{_destination()}"
    return name


def _destination() -> str:
    """Where MAIL_URL leads, without the user and the password."""
    match settings.mail_url.partition("://")[0].lower():
        case "smtp":
            server = mail_server(settings.mail_url)
            host = f"[{server.host}]" if ":" in server.host else server.host
            return f" ({host}:{server.port})"
        case "file":
            return f" ({mail_folder(settings.mail_url)})"
        case _:
            return ""


def check(app: Flask) -> None:
    """Write into the folder of MAIL_URL, so that one in which no mail can be kept stops the start.

    Raises ``SettingsRefused``.
    """
    with app.app_context():
        if not settings.mail_url.lower().startswith("file://"):
            return
        folder = mail_folder(settings.mail_url)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with NamedTemporaryFile(dir=folder, prefix=".start-") as file:
            file.write(b"A mail can be written here.")
            file.flush()
    except OSError as error:
        raise SettingsRefused(
            f"MAIL_URL names the folder {folder}, in which no mail can be written "
            f"({error.strerror}). Write file:// and the absolute path of a folder that this "
            "process may make or write into."
        ) from None


def _keep(letter: Letter, message_id: str) -> None:
    folder = mail_folder(settings.mail_url)
    folder.mkdir(parents=True, exist_ok=True)
    # The same message again takes the place of the first.
    name = message_id.strip("<>").partition("@")[0]
    unfinished = folder / f"{name}.part"
    unfinished.write_bytes(letter.as_bytes.replace(b"\r\n", b"\n"))
    unfinished.replace(folder / f"{name}.eml")


class _Server(smtplib.SMTP):
    """Python's, but for what it says in ASCII alone: a name and password in UTF-8 (RFC 4616)."""

    def auth(
        self,
        mechanism: str,
        authobject: Callable[..., str | None],
        *,
        initial_response_ok: bool = True,
    ) -> tuple[int, bytes]:
        first = authobject() if initial_response_ok else None
        arguments = [mechanism.upper(), *([] if first is None else [_base64(first)])]
        self._auth_challenge_count = 0 if first is None else 1
        code, answer = self.docmd("AUTH", " ".join(arguments))
        while code == 334 and self._auth_challenge_count < MOST_CHALLENGES:
            self._auth_challenge_count += 1
            code, answer = self.docmd(_base64(authobject(b64decode(answer)) or ""))
        if code in (235, 503):
            return code, answer
        raise smtplib.SMTPAuthenticationError(code, answer)

    def auth_cram_md5(self, challenge: bytes | None = None) -> str | None:  # type: ignore[override]
        if challenge is None:
            return None
        proof = hmac.new(self.password.encode(), challenge, "md5")
        return f"{self.user} {proof.hexdigest()}"


class _ServerByTls(_Server, smtplib.SMTP_SSL):
    """The same, with TLS from the first byte."""


def _base64(text: str) -> str:
    return b64encode(text.encode()).decode()


@contextmanager
def _smtp(mine: Line) -> Iterator[smtplib.SMTP]:
    address = mail_server(settings.mail_url)
    server = (
        _ServerByTls(timeout=TIMEOUT_SECONDS, context=ssl.create_default_context())
        if address.tls == "tls"
        else _Server(timeout=TIMEOUT_SECONDS)
    )
    # STARTTLS compares it with the certificate; the constructor, given a host, would connect.
    server._host = address.host  # type: ignore[attr-defined]
    try:
        mine.begin(server)
        code, greeting = server.connect(address.host, address.port)
        mine.check()
        if code != 220:
            raise smtplib.SMTPConnectError(code, greeting)
        if address.tls == "starttls":
            server.starttls(context=ssl.create_default_context())
        if address.user:
            server.login(address.user, address.password)
        yield server
    finally:
        # A server that is too busy to say goodbye has taken the message all the same.
        with suppress(smtplib.SMTPException, OSError):
            server.quit()
        server.close()


def _hand_over(server: smtplib.SMTP, letter: Letter, mine: Line) -> None:
    """The envelope has the addresses byte for byte: Python's own methods would parse them."""
    server.ehlo_or_helo_if_needed()
    code, said = server.docmd("MAIL", f"FROM:<{letter.sender.address}>")
    if code != 250:
        # What a server says before it knows the recipient is about itself or us.
        raise smtplib.SMTPSenderRefused(code, said, letter.sender.address)
    code, said = server.docmd("RCPT", f"TO:<{letter.to}>")
    if code not in (250, 251):
        _raise_if_final(code, said)
        raise smtplib.SMTPRecipientsRefused({letter.to: (code, said)})
    code, said = server.docmd("DATA")
    if code != 354:
        _raise_if_final(code, said)
        raise smtplib.SMTPDataError(code, said)
    mine.hand_over()
    # A dot at the beginning of a line is doubled (RFC 5321 §4.5.2).
    server.send(letter.as_bytes.replace(b"\r\n.", b"\r\n..") + b".\r\n")
    _wait_for(server, FINAL_TIMEOUT_SECONDS)
    code, said = server.getreply()
    _wait_for(server, TIMEOUT_SECONDS)
    if code != 250:
        _raise_if_final(code, said)
        raise smtplib.SMTPDataError(code, said)


def _wait_for(server: smtplib.SMTP, seconds: float) -> None:
    if server.sock is not None:
        server.sock.settimeout(seconds)


def _raise_if_final(code: int, said: bytes) -> None:
    """RFC 5321 §4.2.1: a 5yz answer will be the same the next time."""
    if 500 <= code < 600:
        raise Refused(f"{code} {said.decode(errors='replace')}")
