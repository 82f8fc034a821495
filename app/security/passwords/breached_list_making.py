"""Making the file of breached passwords of a downloaded dump, which may have a billion lines."""

import hashlib
import os
import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import NamedTemporaryFile, TemporaryDirectory

from app.security.passwords.breached_list import ENTRY_BYTES, HEADER
from app.security.passwords.policy import MAX_LENGTH

# A password of fewer characters can never be set, whatever PASSWORD_MIN_LENGTH says.
MIN_LENGTH = 8
# Longer lines are not read as passwords, nor kept in memory.
MAX_LINE_BYTES = 4096
# A line of Have I Been Pwned's dump.
HASH = re.compile(rb"([0-9A-Fa-f]{40})(?::([0-9]{1,12}))?")
NTLM = re.compile(rb"[0-9A-Fa-f]{32}:[0-9]{1,12}")
# The first bytes of files that are compressed: gzip, zip, 7-Zip, bzip2, xz, zstd.
COMPRESSED = (b"\x1f\x8b", b"PK\x03\x04", b"7z\xbc\xaf", b"BZh", b"\xfd7zXZ", b"\x28\xb5\x2f\xfd")
# Entries are spread over this many files by their first 12 bits. Each of them is sorted in memory.
BUCKETS = 4096
NO_COUNTS = "It has no counts, which --at-least compares. Leave the option out."
# Entries wait for their file in memory, up to this size for all together.
MAX_WAITING_BYTES = 64 * 2**20
PROGRESS_EVERY = 5_000_000


class UnfitDump(ValueError):
    """The lines are not a dump of passwords; the message says why."""


@dataclass
class Made:
    """What was read, and what is in the file now."""

    lines: int = 0
    left_out: int = 0
    entries: int = 0


def make(
    lines: Iterable[bytes], output: Path, *, at_least: int = 1, tell: Callable[[int], None]
) -> Made:
    """Write the list, and put it in the place of an older one. Raises ``UnfitDump``, ``OSError``.

    ``at_least`` leaves out hashes that were stolen less often. ``tell`` is
    called with the number of lines now and then. Until the end the older file
    stays in use, and it stays if this fails.
    """
    made = Made()
    with TemporaryDirectory(dir=output.parent, prefix=".breached-") as folder:
        buckets = _Buckets(Path(folder))
        for entry in _entries(lines, at_least, made):
            if entry is None:
                made.left_out += 1
            else:
                buckets.add(entry)
            if made.lines % PROGRESS_EVERY == 0:
                tell(made.lines)
        if made.left_out == made.lines:
            raise UnfitDump("No line of it can be used as a password.")
        with NamedTemporaryFile(dir=folder, delete=False) as written:
            written.write(HEADER)
            for some in buckets.sorted():
                made.entries += len(some) // ENTRY_BYTES
                written.write(some)
            written.flush()
            # Everybody may read it: it is made of what thieves know already.
            os.fchmod(written.fileno(), 0o644)
            os.fsync(written.fileno())
        Path(written.name).replace(output)
    return made


def _entries(lines: Iterable[bytes], at_least: int, made: Made) -> Iterator[bytes | None]:
    """The entry of each line; ``None`` for a line that is left out."""
    read: Callable[[bytes], bytes | None] | None = None
    for line in lines:
        made.lines += 1
        content = line.rstrip(b"\r\n")
        if read is None:
            content = content.removeprefix(b"\xef\xbb\xbf")
            read = _reader_of(content, at_least)
        try:
            yield read(content)
        except UnfitDump as flaw:
            raise UnfitDump(f"Line {made.lines} {flaw}") from None


def _reader_of(first: bytes, at_least: int) -> Callable[[bytes], bytes | None]:
    """How to read the lines of a dump that begins with this one."""
    if first.startswith((*COMPRESSED, HEADER)) or b"\0" in first:
        raise UnfitDump("It is compressed, or not text. Unpack it first.")
    if NTLM.fullmatch(first):
        raise UnfitDump("It has NTLM hashes. Download the hashes in SHA-1.")
    if found := HASH.fullmatch(first):
        if at_least > 1 and not found[2]:
            raise UnfitDump(NO_COUNTS)
        return lambda line: _of_hash(line, at_least)
    if at_least > 1:
        raise UnfitDump(NO_COUNTS)
    return of_password


def _of_hash(line: bytes, at_least: int) -> bytes | None:
    found = HASH.fullmatch(line)
    if not found:
        raise UnfitDump("is not a SHA-1 in 40 digits, with or without a count, as the others are.")
    if int(found[2] or 1) < at_least:
        return None
    return bytes.fromhex(found[1][: 2 * ENTRY_BYTES].decode())


def of_password(line: bytes) -> bytes | None:
    """The entry of a plain password, or ``None`` if nobody can have it here."""
    try:
        password = unicodedata.normalize("NFC", line[:MAX_LINE_BYTES].decode())
    except UnicodeDecodeError:
        return None
    if not MIN_LENGTH <= len(password) <= MAX_LENGTH:
        return None
    return hashlib.sha1(password.encode(), usedforsecurity=False).digest()[:ENTRY_BYTES]


class _Buckets:
    """Entries, spread over files, so that the memory does not grow with the dump."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._waiting = [bytearray() for _ in range(BUCKETS)]
        self._size = 0

    def add(self, entry: bytes) -> None:
        self._waiting[entry[0] << 4 | entry[1] >> 4] += entry
        self._size += ENTRY_BYTES
        if self._size >= MAX_WAITING_BYTES:
            self._write()

    def _write(self) -> None:
        for number, entries in enumerate(self._waiting):
            if entries:
                with self._file(number).open("ab") as file:
                    file.write(entries)
                entries.clear()
        self._size = 0

    def sorted(self) -> Iterator[bytes]:
        """All entries in order, each once, many at a time."""
        for number, waiting in enumerate(self._waiting):
            file = self._file(number)
            all_of_it = (file.read_bytes() if file.exists() else b"") + waiting
            starts = range(0, len(all_of_it), ENTRY_BYTES)
            yield b"".join(sorted({all_of_it[start : start + ENTRY_BYTES] for start in starts}))
            file.unlink(missing_ok=True)
            waiting.clear()

    def _file(self, number: int) -> Path:
        return self._folder / str(number)
