"""A checkpoint beside the file says how far an import has come, so that it can continue there."""

import hashlib
import json
import os
import stat
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass
class Checkpoint:
    """How many rows of one file are done, with the same options.

    Without a ``path`` nothing is stored: the next import of the file begins at
    its start, and skips accounts that exist already.
    """

    path: Path | None
    fingerprint: str
    rows: int = 0
    report_bytes: int = 0
    counts: Counter[str] = field(default_factory=Counter)

    @classmethod
    def none(cls) -> "Checkpoint":
        """A checkpoint that stores nothing, for files that can be read only once, like a pipe."""
        return cls(None, "")

    @classmethod
    def find(cls, imported: Path, options: dict[str, Any]) -> "Checkpoint":
        """The checkpoint that was stored for exactly this import, or a new one at its beginning."""
        imported = imported.resolve()
        with imported.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256")
        digest.update(json.dumps(options, sort_keys=True).encode())
        path = imported.with_name(f"{imported.name}.checkpoint")
        fresh = cls(path, digest.hexdigest())
        try:
            # Only a regular file is read. Reading a pipe that nobody writes to would never end.
            if not stat.S_ISREG(path.lstat().st_mode):
                return fresh
            kept = json.loads(path.read_text(encoding="utf-8"))
            same = kept["fingerprint"] == fresh.fingerprint
            rows, report_bytes = int(kept["rows"]), int(kept["report_bytes"])
            counts = Counter({str(word): int(number) for word, number in kept["counts"].items()})
        except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
            return fresh
        return cls(path, fresh.fingerprint, rows, report_bytes, counts) if same else fresh

    def keep(self) -> None:
        """Store it, whole or not at all. If that fails, the import continues without it."""
        self.objection()

    def objection(self) -> str | None:
        """Store it. If that fails, return the reason, and store nothing from then on."""
        if self.path is None:
            return None
        try:
            self._write(self.path)
        except OSError as error:
            self.path = None
            return error.strerror or str(error)
        return None

    def forget(self) -> None:
        if self.path is not None:
            self.path.unlink(missing_ok=True)

    def _write(self, path: Path) -> None:
        written = path.with_name(f"{path.name}.new")
        content = json.dumps(
            {
                "fingerprint": self.fingerprint,
                "rows": self.rows,
                "report_bytes": self.report_bytes,
                "counts": self.counts,
            }
        )
        # In a folder where others can write, the name may be a link to a file of somebody else.
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_NONBLOCK
        with os.fdopen(os.open(written, flags, 0o600), "w", encoding="utf-8") as file:
            file.write(content)
        written.replace(path)
