"""Sending a message by SMTP, to a folder of files, or to the console, as MAIL_URL says."""

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

from app.mail import composing, listening
from app.mail.composing import Letter
from app.mail.content import Content
from config import SettingsRefused, settings
from configuration.mail import mail_folder, mail_server

# If a server does not answer for this long, it counts as unreachable.
TIMEOUT_SECONDS = 15
# Its answer to the message may take longer, because it may look for viruses first. A client that
# hangs up before this answer and tries again delivers the mail twice (RFC 5321 §4.5.3.2.6, §6.1).
FINAL_TIMEOUT_SECONDS = 600
# No way of logging in needs more questions and answers than this.
MOST_CHALLENGES = 5


class Refused(Exception):
    """The mail server will not take this message, now or later."""


class Interrupted(Exception):
    """The delivery was cancelled before anything was delivered."""


class Line:
    """One delivery. Another thread can cancel it until the message is handed over."""

    def __init__(self) -> None:
        self._deciding = threading.Lock()
        self._is_final = False
        self._is_cut = False
        self._server: smtplib.SMTP | None = None

    def begin(self, server: smtplib.SMTP) -> None:
        """From now on ``hang_up`` closes the connection to this server."""
        with self._deciding:
            self._server = server
        self.check()

    def hand_over(self) -> None:
        """From now on it is too late to cancel. Raises ``Interrupted`` if it was cancelled."""
        with self._deciding:
            if self._is_cut:
                raise Interrupted
            self._is_final = True

    def check(self) -> None:
        """Raises ``Interrupted`` if the delivery was cancelled."""
        if self._is_cut:
            raise Interrupted

    def cut(self) -> bool:
        """Cancel the delivery. Returns False if the message is being handed over, or was."""
        with self._deciding:
            self._is_cut = not self._is_final
            return self._is_cut

    def hang_up(self) -> None:
        """Close the connection, so that the thread that waits for the server stops waiting."""
        with self._deciding:
            connection = self._server.sock if self._server else None
        if connection is not None:
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)


# The delivery of this thread.
line: ContextVar[Line] = ContextVar("line")


def send(content: Content, *, to: str, message_id: str) -> None:
    """Deliver one message. Raises ``Refused``, or another error if it is worth another try."""
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
    """Say why a mail was not delivered, without the server's words, which name the address.

    The server's words stay in the row, where ``flask outbox list`` shows them.
    """
    if isinstance(error, Refused):
        code = re.match(r"[0-9]{3}(?![0-9])", str(error))
        # If there is no code, the words are our own.
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


def destination() -> str:
    """Return where mail goes, like ``mail.example.com:587``, without the user and the password."""
    return _destination().strip(" ()") or "the console"


def _destination() -> str:
    """Return the server or folder of MAIL_URL, without the user and the password."""
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
    """Write into the folder of MAIL_URL at the start, to find out whether mails can be kept there.

    Raises ``SettingsRefused`` if not.
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
            f"MAIL_URL names the folder {folder}, but a mail cannot be written there "
            f"({error.strerror}). Write file:// and the absolute path of a folder that this "
            "process may make or write into."
        ) from None


def _keep(letter: Letter, message_id: str) -> None:
    folder = mail_folder(settings.mail_url)
    folder.mkdir(parents=True, exist_ok=True)
    # If the same message is sent again, it replaces the first file.
    name = message_id.strip("<>").partition("@")[0]
    unfinished = folder / f"{name}.part"
    unfinished.write_bytes(letter.as_bytes.replace(b"\r\n", b"\n"))
    unfinished.replace(folder / f"{name}.eml")


class _Server(smtplib.SMTP):
    """Python's SMTP, but it sends the user and the password in UTF-8 (RFC 4616), not in ASCII."""

    def putcmd(self, cmd: str, args: str = "") -> None:
        super().putcmd(cmd, args)
        listening.sent(cmd, args)

    def getreply(self) -> tuple[int, bytes]:
        code, said = super().getreply()
        listening.answered(code, said)
        return code, said

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
    """The same with TLS from the first byte."""


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
    # STARTTLS compares this with the certificate. With a host, the constructor would connect.
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
        # The server has accepted the message, even if it does not answer QUIT.
        with suppress(smtplib.SMTPException, OSError):
            server.quit()
        server.close()


def _hand_over(server: smtplib.SMTP, letter: Letter, mine: Line) -> None:
    """Send the envelope and the message. Python's own methods would parse the addresses."""
    server.ehlo_or_helo_if_needed()
    code, said = server.docmd("MAIL", f"FROM:<{letter.sender.address}>")
    if code != 250:
        # The server does not know the recipient yet, so this answer is about itself or about us.
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
    # A dot at the beginning of a line must be doubled (RFC 5321 §4.5.2).
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
    """Raises ``Refused`` for a 5yz answer, which will be the same next time (RFC 5321 §4.2.1)."""
    if 500 <= code < 600:
        raise Refused(f"{code} {said.decode(errors='replace')}")
