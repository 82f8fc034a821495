"""A real SMTP server on loopback, with its moods."""

import asyncio
import datetime
import ssl
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.mail.letters import Letter
from tests.servers import free_port

LOGIN = ("mailer@example.com", "p@ss:word/with?signs")


@dataclass
class PostOffice:
    """What arrived, and to whom something happens instead of "250 OK"."""

    port: int = 0
    received: list[tuple[str, Letter]] = field(default_factory=list)
    envelopes: list[Envelope] = field(default_factory=list)
    refusals: dict[str, str] = field(default_factory=dict)
    answers_to_data: dict[str, str] = field(default_factory=dict)
    hanging: set[str] = field(default_factory=set)
    dying: Counter[str] = field(default_factory=Counter)
    seconds_before_answer: dict[str, float] = field(default_factory=dict)
    login: tuple[str, str] = LOGIN
    answer_to_quit: str | None = "221 Bye"
    secured: list[bool] = field(default_factory=list)
    logins: list[str] = field(default_factory=list)

    @property
    def letters(self) -> list[Letter]:
        return [letter for _, letter in self.received]

    def to(self, recipient: str) -> list[Letter]:
        return [letter for address, letter in self.received if address == recipient]

    async def handle_RCPT(  # noqa: N802 — aiosmtpd names it
        self, _server: SMTP, _session: Session, envelope: Envelope, address: str, _options: Any
    ) -> str:
        if address in self.hanging:
            await asyncio.sleep(3600)
        if address in self.refusals:
            return self.refusals[address]
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(  # noqa: N802
        self, server: SMTP, session: Session, envelope: Envelope
    ) -> str:
        recipient = envelope.rcpt_tos[0]
        content = envelope.content
        assert isinstance(content, bytes)
        if recipient in self.answers_to_data:
            return self.answers_to_data[recipient]
        self.envelopes.append(envelope)
        self.received.append((recipient, Letter.parse(content)))
        self.secured.append(session.ssl is not None)
        await asyncio.sleep(self.seconds_before_answer.get(recipient, 0))
        if self.dying[recipient] > 0:
            # It has the mail, and is gone before it says so.
            self.dying[recipient] -= 1
            assert server.transport is not None
            server.transport.abort()
        return "250 OK"

    async def handle_QUIT(  # noqa: N802
        self, server: SMTP, _session: Session, _envelope: Envelope
    ) -> str:
        if self.answer_to_quit is None:
            assert server.transport is not None
            server.transport.abort()
        return self.answer_to_quit or "221 Bye"

    def log_in(
        self, _server: Any, _session: Any, _envelope: Any, _way: str, data: Any
    ) -> AuthResult:
        assert isinstance(data, LoginPassword)
        given = (data.login.decode(), data.password.decode())
        self.logins.append(given[0])
        return AuthResult(success=given == self.login, handled=False)


class _Controller(Controller):
    """Remembers its connections, so that none outlives it."""

    def factory(self) -> SMTP:
        connection: SMTP = super().factory()
        self.__dict__.setdefault("connections", []).append(connection)
        return connection

    def hang_up(self) -> None:
        connections: list[SMTP] = self.__dict__.get("connections", [])
        deadline = time.monotonic() + 5
        while open_ones := [c for c in connections if c.transport and not c.transport.is_closing()]:
            for connection in open_ones:
                self.loop.call_soon_threadsafe(connection.transport.abort)
            assert time.monotonic() < deadline
            time.sleep(0.01)


@contextmanager
def open_office(office: PostOffice, **options: Any) -> Iterator[PostOffice]:
    """Serve on the office's port, or a free one the first time."""
    office.port = office.port or free_port()
    controller = _Controller(office, hostname="127.0.0.1", port=office.port, **options)
    controller.start()
    try:
        yield office
    finally:
        controller.hang_up()
        controller.stop(no_assert=True)


@dataclass(frozen=True)
class Certificate:
    """A self-signed certificate for ``localhost``."""

    path: Path
    key_path: Path

    def context(self) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.path, self.key_path)
        return context

    def trusted(self) -> Callable[..., ssl.SSLContext]:
        """In place of ``ssl.create_default_context``: as strict, but trusting this one."""
        make = ssl.create_default_context
        return lambda *_, **__: make(cafile=str(self.path))


def make_certificate(folder: Path) -> Certificate:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    paths = Certificate(folder / "certificate.pem", folder / "key.pem")
    paths.path.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    paths.key_path.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return paths
