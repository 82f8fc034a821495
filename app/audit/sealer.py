"""The sealer in the background. Each machine has one, and only one of them works at a time."""

import threading
from itertools import count

from flask import Flask

from app.audit import sealing
from app.observability import attempts

NAME = "sealer"
IDLE_SECONDS = 1.0
# One look in this many goes back very far.
LOOKS = 60


def run(app: Flask, stop: threading.Event) -> None:
    """Seal the recorded events, about every second, until told to stop."""
    for look in count():
        late = sealing.LATE if look % LOOKS else sealing.VERY_LATE
        while not stop.is_set() and _seal(app, late) == sealing.BATCH:
            pass
        if stop.wait(IDLE_SECONDS):
            return


def _seal(app: Flask, late: int) -> int:
    return attempts.attempt(app, NAME, lambda: sealing.seal(late=late)) or 0
