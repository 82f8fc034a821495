"""The one way to wait in a test: until something holds, with patience for a busy machine."""

import time
from collections.abc import Callable
from typing import Any

PATIENCE_SECONDS = 60


def until(look: Callable[[], Any], patience: float = PATIENCE_SECONDS) -> Any:
    """What ``look`` finds, as soon as it finds something."""
    deadline = time.monotonic() + patience
    while not (found := look()):
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.01)
    return found
