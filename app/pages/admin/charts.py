"""Bars for each hour, as a picture that the server draws, and as a table."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from app.administration.last_day import Series

# The picture is stretched to the width of the page.
HOUR_WIDTH, BAR_WIDTH, HEIGHT = 10, 8, 60


@dataclass(frozen=True)
class Column:
    """One kind of what was counted. ``look`` names its color in the stylesheet."""

    label: str
    look: str
    numbers: tuple[int, ...]
    total: int


@dataclass(frozen=True)
class Bar:
    look: str
    x: int
    y: float
    height: float


@dataclass(frozen=True)
class Chart:
    """A chart. ``columns`` is ``None`` if counting took too long."""

    title: str
    columns: list[Column] | None
    hours: tuple[datetime, ...]
    # Whether the numbers of the hours can be added up.
    has_totals: bool = True
    hint: str = ""

    @property
    def most(self) -> int:
        return max(map(sum, self._by_hour()))

    @property
    def width(self) -> int:
        return HOUR_WIDTH * len(self.hours)

    @property
    def bars(self) -> list[Bar]:
        """The bars, those of one hour on top of each other."""
        bars = []
        for index, numbers in enumerate(self._by_hour()):
            y = float(HEIGHT)
            for column, number in zip(self.columns or (), numbers, strict=True):
                height = round(HEIGHT * number / self.most, 2) if number else 0
                y = round(y - height, 2)
                if height:
                    bars.append(Bar(column.look, index * HOUR_WIDTH + 1, y, height))
        return bars

    @property
    def rows(self) -> list[tuple[datetime, tuple[int, ...]]]:
        """The rows of the table, the newest first."""
        return list(zip(self.hours, self._by_hour(), strict=True))[::-1]

    def _by_hour(self) -> list[tuple[int, ...]]:
        return list(zip(*(column.numbers for column in self.columns or ()), strict=True))


def columns(
    series: Sequence[Series] | None, looks: Sequence[tuple[str, str]]
) -> list[Column] | None:
    """The series, with a label and a color for each."""
    if series is None:
        return None
    return [
        Column(label, look, each.numbers, each.total)
        for each, (label, look) in zip(series, looks, strict=True)
    ]
