"""How far an import has got, kept beside its file so that it can go on from there."""

import hashlib
import json
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass
class Checkpoint:
    """The rows of one file that are done, taken in under the same options."""

    path: Path
    fingerprint: str
    rows: int = 0
    report_bytes: int = 0
    counts: Counter[str] = field(default_factory=Counter)

    @classmethod
    def find(cls, imported: Path, options: dict[str, Any]) -> "Checkpoint":
        """The one that was kept for exactly this import, or a new one at its beginning."""
        with imported.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256")
        digest.update(json.dumps(options, sort_keys=True).encode())
        path = imported.with_name(f"{imported.name}.checkpoint")
        fresh = cls(path, digest.hexdigest())
        try:
            kept = json.loads(path.read_text(encoding="utf-8"))
            same = kept["fingerprint"] == fresh.fingerprint
            rows, report_bytes = int(kept["rows"]), int(kept["report_bytes"])
            counts = Counter({str(word): int(number) for word, number in kept["counts"].items()})
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return fresh
        return cls(path, fresh.fingerprint, rows, report_bytes, counts) if same else fresh

    def keep(self) -> None:
        """Write it down, whole or not at all."""
        written = self.path.with_name(f"{self.path.name}.new")
        written.write_text(
            json.dumps(
                {
                    "fingerprint": self.fingerprint,
                    "rows": self.rows,
                    "report_bytes": self.report_bytes,
                    "counts": self.counts,
                }
            ),
            encoding="utf-8",
        )
        written.replace(self.path)

    def forget(self) -> None:
        self.path.unlink(missing_ok=True)
