"""The clock stands still, in the middle of a time step of the codes."""

from collections.abc import Iterator

import pytest
import time_machine

NOON = "2026-11-27T12:00:15Z"


@pytest.fixture(autouse=True)
def clock() -> Iterator[time_machine.Traveller]:
    """``clock.shift(seconds)`` lets time pass."""
    with time_machine.travel(NOON, tick=False) as traveller:
        yield traveller
