"""The settings of the notes."""

from dataclasses import dataclass

from configuration.table import variable
from configuration.values import integer


@dataclass(frozen=True, kw_only=True)
class NotesSettings:
    """How many notes a person may have."""

    per_user: int = variable("NOTES_PER_USER", "100", integer(1, 10_000))
