"""Check every part of ``MAIL_URL`` and ``MAIL_FROM`` at the start, before the first mail."""

import re
import unicodedata
from functools import lru_cache
from ipaddress import IPv6Address
from pathlib import Path
from typing import NamedTuple
from urllib.parse import unquote

import idna

from configuration.refusals import Wrong


class Sender(NamedTuple):
    """The sender of a mail: the name that people read, which may be empty, and the address."""

    name: str
    address: str


class MailServer(NamedTuple):
    """Where mail is handed over. ``tls`` is ``""``, ``"starttls"`` or ``"tls"``."""

    host: str
    port: int
    tls: str
    user: str
    password: str


MAIL_URL_EXAMPLE = "Write smtp://user:password@host:587?tls=starttls, file:///folder or console://."


def mail_url(text: str) -> str:
    scheme = text.partition("://")[0].lower()
    if scheme == "smtp":
        mail_server(text)
    elif scheme == "file":
        mail_folder(text)
    elif scheme != "console" or "://" not in text:
        raise Wrong(
            f"is not the address of a mail server or an absolute folder. {MAIL_URL_EXAMPLE}"
        )
    return text


@lru_cache
def mail_server(text: str) -> MailServer:
    """Read an ``smtp://`` URL.

    Everything before the last ``@`` is the user and the password, so that a
    password with ``/``, ``#`` or ``@`` in it means the same whether or not
    it was escaped. A message never repeats the value, because it may hold the
    password.
    """
    credentials, _, server = text.partition("://")[2].rpartition("@")
    found = re.fullmatch(
        r"(?P<host>[^\s/?#:\[\]@]+|\[[0-9A-Fa-f:.]+\])(:(?P<port>[0-9]{1,5}))?/?"
        r"(\?(tls=(?P<tls>starttls|tls))?)?",
        server,
    )
    if found is None:
        raise Wrong(
            "has no host that can be read, or an option other than tls=starttls and tls=tls. "
            f"{MAIL_URL_EXAMPLE}"
        )
    port = int(found["port"] or 25)
    if not 1 <= port <= 65535:
        raise Wrong(f"has a port that is not between 1 and 65535. {MAIL_URL_EXAMPLE}")
    user, password = _mail_credentials(credentials)
    return MailServer(_mail_host(found["host"]), port, found["tls"] or "", user, password)


def _mail_credentials(text: str) -> tuple[str, str]:
    escaped_user, _, escaped_password = text.partition(":")
    try:
        user, password = (
            unquote(part, errors="strict") for part in (escaped_user, escaped_password)
        )
    except UnicodeDecodeError:
        raise Wrong(
            "has a %xx escape in the user or password that is not UTF-8. "
            f"Write a percent sign as %25. {MAIL_URL_EXAMPLE}"
        ) from None
    if password and not user:
        raise Wrong(f"has a password without a user. {MAIL_URL_EXAMPLE}")
    if any(unicodedata.category(character) == "Cc" for character in user + password):
        raise Wrong(f"has a control character in the user or password. {MAIL_URL_EXAMPLE}")
    return user, password


def _mail_host(text: str) -> str:
    try:
        if text.startswith("["):
            return str(IPv6Address(text[1:-1]))
        return _ascii_domain(text.removesuffix("."))
    except ValueError:
        raise Wrong(f"has a host that is not valid. {MAIL_URL_EXAMPLE}") from None


def mail_folder(text: str) -> Path:
    """Read a ``file://`` URL."""
    path = unquote(text.partition("://")[2])
    if not path.startswith("/") or re.search(r"[?#]", text) or not path.isprintable():
        raise Wrong(f"is not the absolute path of a folder. {MAIL_URL_EXAMPLE}")
    return Path(path)


def mail_from(text: str) -> str:
    sender(text)
    return text


@lru_cache
def sender(text: str) -> Sender:
    """Read an address, or a name and an address: ``Acme, Inc. <no-reply@example.com>``.

    Everything before the ``<`` is the name, with or without quotation marks
    around it. A domain that is not ASCII becomes its IDNA form.
    """
    example = "Write one like no-reply@example.com or Example <no-reply@example.com>."
    found = re.fullmatch(r"(?P<name>[^<>]*)<(?P<address>[^<>]*)>", text.strip())
    name, address = (found["name"].strip(), found["address"]) if found else ("", text.strip())
    if quoted := re.fullmatch(r'"((?:[^"\\]|\\.)*)"', name):
        name = re.sub(r"\\(.)", r"\1", quoted[1])
    if not is_sender_name(name):
        raise Wrong(
            f"is {text!r}, and the name before the address has an @, a control character or an "
            f"encoded word (=?…?=). Write the name as people read it. {example}"
        )
    try:
        return Sender(name, mail_address(address))
    except ValueError:
        raise Wrong(f"is {text!r}, which is not an address. {example}") from None


def is_sender_name(name: str) -> bool:
    """Whether every mail program shows this name of a sender, and reads no address into it."""
    return name.isprintable() and "@" not in name and "=?" not in name


def mail_address(text: str) -> str:
    """An address with its domain in the IDNA form. Raises ``ValueError``."""
    local, _, domain = text.rpartition("@")
    atom = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+"
    if not re.fullmatch(rf"{atom}(\.{atom})*", local) or len(local) > 64 or "=?" in text:
        raise ValueError
    # A host inside a network may have an underscore in its name; a mail domain may not.
    if "_" in domain:
        raise ValueError
    return f"{local}@{_ascii_domain(domain)}"


def _ascii_domain(text: str) -> str:
    """A domain as DNS knows it. Raises ``ValueError``."""
    domain = text if text.isascii() else idna.encode(text, uts46=True).decode()
    label = "[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?"
    if len(domain) > 253 or not re.fullmatch(rf"{label}(\.{label})*", domain):
        raise ValueError
    return domain
