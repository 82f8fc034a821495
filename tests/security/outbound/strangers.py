"""Servers that are called, and names that lead to them."""

import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

Behave = Callable[[socket.socket, bytes], None]


def answering(body: bytes = b"hello", status: str = "200 OK", *headers: str) -> Behave:
    """A server that answers correctly."""
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *headers]

    def behave(connection: socket.socket, _request: bytes) -> None:
        connection.sendall("\r\n".join([*lines, "", ""]).encode() + body)

    return behave


@dataclass
class Stranger:
    """A server: where it listens, and what was sent to it."""

    port: int
    requests: list[bytes] = field(default_factory=list)
    connections: int = 0
    server_names: list[str | None] = field(default_factory=list)
    ended: threading.Event = field(default_factory=threading.Event)


@contextmanager
def serving(
    behave: Behave,
    *,
    address: str = "127.0.0.1",
    port: int = 0,
    certificate: Path | None = None,
) -> Iterator[Stranger]:
    """A server in a thread, which treats one request after another as ``behave`` says."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as listening:
        listening.bind((address, port))
        listening.listen()
        stranger = Stranger(listening.getsockname()[1])
        tls = _tls(certificate, stranger) if certificate else None
        thread = threading.Thread(target=_serve, args=(listening, behave, stranger, tls))
        thread.start()
        try:
            yield stranger
        finally:
            stranger.ended.set()
            # `accept` wakes up for a last visitor.
            socket.create_connection((address, stranger.port)).close()
            thread.join()


def _serve(
    listening: socket.socket, behave: Behave, stranger: Stranger, tls: ssl.SSLContext | None
) -> None:
    while True:
        plain, _ = listening.accept()
        if stranger.ended.is_set():
            plain.close()
            return
        stranger.connections += 1
        try:
            with tls.wrap_socket(plain, server_side=True) if tls else plain as connection:
                connection.settimeout(10)
                stranger.requests.append(_read_request(connection))
                behave(connection, stranger.requests[-1])
        except OSError:
            # The caller has hung up.
            plain.close()


def _read_request(connection: socket.socket) -> bytes:
    """The request. The body of one with the header X-Unread is left where it is."""
    received = b""
    while b"\r\n\r\n" not in received and (piece := connection.recv(65536)):
        received += piece
    if b"X-Unread" in received:
        return received
    head, _, body = received.partition(b"\r\n\r\n")
    lengths = [
        int(line.split(b":")[1])
        for line in head.splitlines()
        if line.lower().startswith(b"content-length:")
    ]
    while lengths and len(body) < lengths[0] and (piece := connection.recv(65536)):
        body += piece
    return head + b"\r\n\r\n" + body


def _tls(certificate: Path, stranger: Stranger) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    context.sni_callback = lambda _sock, name, _context: stranger.server_names.append(name)
    return context


def make_certificate(folder: Path, *names: str) -> Path:
    """A certificate for these names, which vouches for itself, with its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, names[0])])
    alternatives: list[x509.GeneralName] = [
        x509.IPAddress(ip_address(name)) if name[0].isdigit() else x509.DNSName(name)
        for name in names
    ]
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName(alternatives), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    file = folder / f"{names[0]}.pem"
    file.write_bytes(
        certificate.public_bytes(serialization.Encoding.PEM)
        + key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return file


class Names:
    """A resolver that answers as the test says. Each name has one answer a look-up."""

    def __init__(self) -> None:
        self.answers: dict[str, list[list[str]]] = {}
        self.asked: list[str] = []

    def getaddrinfo(self, host: str, port: int, *_: Any, **__: Any) -> list[Any]:
        self.asked.append(host)
        answers = self.answers.get(host) or [[host]]
        addresses = answers.pop(0) if len(answers) > 1 else answers[0]
        if not all(address[0].isdigit() or ":" in address for address in addresses):
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return [
            (
                socket.AF_INET6 if ":" in address else socket.AF_INET,
                socket.SOCK_STREAM,
                6,
                "",
                (address, port, 0, 0) if ":" in address else (address, port),
            )
            for address in addresses
        ]
