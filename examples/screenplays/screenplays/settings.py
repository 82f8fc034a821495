"""The settings of the screenplays."""

from dataclasses import dataclass

from configuration.table import variable
from configuration.values import integer


@dataclass(frozen=True, kw_only=True)
class ScreenplaySettings:
    """How much a person may keep here."""

    per_user: int = variable("SCREENPLAYS_PER_USER", "200", integer(1, 100_000))
    people: int = variable("SCREENPLAYS_PEOPLE", "50", integer(1, 1000))
    versions_kept: int = variable("SCREENPLAYS_VERSIONS_KEPT", "100", integer(1, 10_000))
