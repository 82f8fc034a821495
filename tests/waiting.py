"""The one way to wait in a test: until something holds, with patience for a busy machine."""

import time
from collections.abc import Callable
from typing import Any

PATIENCE_SECONDS = 60


def until(look: Callable[[], Any], patience: float = PATIENCE_SECONDS) -> Any:
    """What ``look`` finds, as soon as it finds something."""
    deadline = time.monotonic() + patience
    pause = 0.01
    while not (found := look()):
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(pause)
        # To look takes time from what is waited for, so looks become rarer.
        pause = min(pause * 1.3, 0.1)
    return found
