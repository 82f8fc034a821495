"""The file of breached passwords: the first 8 bytes of the SHA-1 of each one, sorted.

It is the hash of Have I Been Pwned, so its dumps can be used. Passwords
cannot be read from the file. It is mapped into memory, so all workers share
the pages that were read, and a look-up in a billion entries reads 30 of them.
"""

import mmap
from bisect import bisect_left
from collections.abc import Sequence
from pathlib import Path
from typing import overload

# It is as long as an entry.
HEADER = b"sha1[:8]"
ENTRY_BYTES = 8
SHIPPED = Path(__file__).with_name("breached_passwords.bin")


class UnfitList(ValueError):
    """The file is not such a list; the message says why."""


class BreachedList(Sequence[bytes]):
    """The entries of a file, read when they are asked for."""

    def __init__(self, content: mmap.mmap) -> None:
        self._content = content

    @overload
    def __getitem__(self, index: int) -> bytes: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[bytes]: ...
    def __getitem__(self, index: int | slice) -> bytes | Sequence[bytes]:
        if isinstance(index, slice):
            return [self[place] for place in range(*index.indices(len(self)))]
        if not -len(self) <= index < len(self):
            raise IndexError(index)
        start = len(HEADER) + index % len(self) * ENTRY_BYTES
        return self._content[start : start + ENTRY_BYTES]

    def __len__(self) -> int:
        return (len(self._content) - len(HEADER)) // ENTRY_BYTES

    def __contains__(self, digest: object) -> bool:
        """Whether the password with this SHA-1 is in the list.

        Two passwords of a list of a billion share these 8 bytes with another
        one once in 18 billion look-ups, so such an error can be ignored.
        """
        if not isinstance(digest, bytes):
            return False
        entry = digest[:ENTRY_BYTES]
        place = bisect_left(self, entry)
        return place < len(self) and self[place] == entry


def read(path: Path) -> BreachedList:
    """Map the file. Raises ``UnfitList``, or ``OSError``."""
    with path.open("rb") as file:
        if file.read(len(HEADER)) != HEADER:
            raise UnfitList("is not a list that `flask passwords build-breached` made")
        found = BreachedList(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
    if not found or path.stat().st_size % ENTRY_BYTES or found[0] > found[-1]:
        raise UnfitList("is empty or damaged")
    return found
