"""Runs the import of one file, from its checkpoint to its report."""

import hashlib
import json
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO

from flask import current_app

from app.moving import files, importing, reports
from app.moving.candidates import Outcome, Rules
from app.moving.checkpoints import Checkpoint
from app.moving.files import UnfitFile
from app.moving.systems import SYSTEMS, Particulars


class WrongFile(Exception):
    """This is not a file of accounts; the text says why."""


@dataclass(frozen=True)
class Plan:
    """How to import a file."""

    form: str
    rules: Rules
    particulars: Particulars
    report: Path | None

    def translated(self, row: dict[str, Any]) -> dict[str, Any]:
        """A row of the other system as a row of ours. Raises ``UnfitRow``."""
        return SYSTEMS[self.rules.system](row, self.particulars)

    def checkpoint(self, file: Path) -> Checkpoint:
        """How far an earlier import of the same file with the same plan has come."""
        return Checkpoint.find(file, self._options())

    def _options(self) -> dict[str, Any]:
        """The options that tell one import from another, for the checkpoint."""
        of_system = asdict(self.particulars) | {
            "password_hashes": _digest(json.dumps(self.particulars.password_hashes, sort_keys=True))
        }
        # Rows that are done in one database are not done in another.
        where = _digest(str(current_app.config["SQLALCHEMY_DATABASE_URI"]))
        words = {
            "from": self.rules.system,
            "format": self.form,
            "report": str(self.report.resolve()) if self.report else None,
            "database": where,
        }
        return words | asdict(self.rules) | of_system


def run(
    opened: BinaryIO,
    plan: Plan,
    checkpoint: Checkpoint,
    *,
    dry_run: bool,
    advance: Callable[[int], None],
) -> str | None:
    """Import the rows after the checkpoint, and count their outcomes in the checkpoint.

    ``advance`` is called after each row with the number of bytes that are read.
    Returns why the rest of the file cannot be read, or ``None`` if all of it
    was read. Raises ``WrongFile`` and ``NotWritten``.
    """
    unreadable: list[str] = []
    found = _with_an_email(_rows(opened, plan.form, advance, unreadable), plan.form)
    rows = islice(found, checkpoint.rows, None)
    with reports.report_to(plan.report, checkpoint.report_bytes) as tell:
        for outcomes in importing.take_in(rows, plan.translated, plan.rules, dry_run=dry_run):
            _count(outcomes, checkpoint, dry_run=dry_run)
            checkpoint.report_bytes = tell(outcomes)
            checkpoint.keep()
    checkpoint.forget()
    return unreadable[0] if unreadable else None


def _rows(
    opened: BinaryIO, form: str, advance: Callable[[int], None], unreadable: list[str]
) -> Iterator[files.Row]:
    """The rows; if the file becomes unreadable, one more row that says where and why."""
    row = None
    try:
        for row in files.read(opened, form):
            yield row
            advance(row.end)
    except UnfitFile as reason:
        unreadable.append(str(reason))
        line, end = (row.line + 1, row.end) if row else (1, 0)
        yield files.Row(line, end, files.UnfitRow("unreadable", str(reason)))


def _with_an_email(rows: Iterator[files.Row], form: str) -> Iterator[files.Row]:
    """The same rows. Refuses a CSV file without a column for addresses: it is the wrong file.

    The import would refuse each of its rows, and would look as if it had worked.
    """
    is_looked_at = form != "csv"
    for row in rows:
        if not is_looked_at and isinstance(row.content, dict):
            is_looked_at = True
            if "email" not in row.content:
                names = ", ".join(list(row.content)[:50])[:500]
                raise WrongFile(f"There is no column email. The columns are: {names}.")
        yield row


def _count(outcomes: list[Outcome], checkpoint: Checkpoint, *, dry_run: bool) -> None:
    for outcome in outcomes:
        if dry_run and outcome.outcome == "created":
            outcome.id = None
        checkpoint.counts[outcome.outcome] += 1
        checkpoint.counts[f"{outcome.outcome}: {outcome.reason}"] += bool(outcome.reason)
    checkpoint.rows += len(outcomes)


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
