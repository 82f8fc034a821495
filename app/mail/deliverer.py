"""The deliverer in the background. Each machine has one, however many workers it has."""

import threading
from collections.abc import Sequence
from time import monotonic

from flask import Flask

from app.mail import delivery as mail_delivery
from app.mail import transport
from app.models import OutboxMessage
from app.observability import attempts

NAME = "outbox"
IDLE_SECONDS = 1.0
BUSY_SECONDS = 0.05
# Several deliveries run at once, so that one slow mail server does not stop the mails to others.
THREADS = 4
# A server may take ten minutes for its last answer. After this time a delivery counts as slow, and
# not as one of ``THREADS``. Otherwise four slow mails would stop all others, even the links that
# set a new password.
SLOW_SECONDS = 30.0
# The most deliveries at once, with the slow ones: each needs a thread and a connection.
MOST_AT_ONCE = 20
# When the deliverer stops, it waits this long for the answers to messages that it has handed over,
# because a message without an answer is sent again. Shorter than gunicorn's graceful_timeout.
LAST_ANSWER_SECONDS = 20


def run(app: Flask, stop: threading.Event, *, until_empty: bool = False) -> int:
    """Deliver mails until told to stop, and return how many were tried.

    With ``until_empty`` it also ends when no mail is due. At the end, mails
    that were claimed but not handed over are due again at once, so that the
    next deliverer can take them.
    """
    under_way: set[_Delivery] = set()
    tried = 0
    try:
        while not stop.is_set():
            under_way = {delivery for delivery in under_way if delivery.is_alive()}
            begun = {_Delivery(app, row) for row in _claim(app, _free(under_way))}
            under_way |= begun
            tried += len(begun)
            for delivery in begun:
                delivery.start()
            if not begun:
                if until_empty and not under_way:
                    break
                stop.wait(BUSY_SECONDS if under_way else IDLE_SECONDS)
    finally:
        _put_down(app, under_way)
    return tried


class _Delivery(threading.Thread):
    """The thread that delivers one mail. The process can end before it does."""

    def __init__(self, app: Flask, row: OutboxMessage) -> None:
        super().__init__(name=f"{NAME}-{row.id}", daemon=True)
        self.app, self.row, self.line = app, row, transport.Line()
        self.began = monotonic()

    @property
    def is_slow(self) -> bool:
        return monotonic() - self.began >= SLOW_SECONDS

    def run(self) -> None:
        transport.line.set(self.line)
        attempts.attempt(self.app, NAME, mail_delivery.deliver, self.row)

    def wait(self, seconds: float) -> None:
        if self.is_alive():
            self.join(max(0.0, seconds))


def _free(under_way: set[_Delivery]) -> int:
    """Return how many more deliveries may begin."""
    quick = sum(not delivery.is_slow for delivery in under_way)
    return min(THREADS - quick, MOST_AT_ONCE - len(under_way))


def _claim(app: Flask, free: int) -> Sequence[OutboxMessage]:
    return attempts.attempt(app, NAME, mail_delivery.claim, free) or [] if free else []


def _put_down(app: Flask, deliveries: set[_Delivery]) -> None:
    """Give back the mails that were not handed over, and wait for the answers to the others."""
    cut = {delivery for delivery in deliveries if delivery.line.cut()}
    _release(app, cut)
    for delivery in cut:
        delivery.line.hang_up()
    deadline = monotonic() + LAST_ANSWER_SECONDS
    for delivery in deliveries:
        delivery.wait(deadline - monotonic())
    # The server may have accepted these or not. They are sent again, with the same Message-ID.
    _release(app, {delivery for delivery in deliveries if delivery.is_alive()})


def _release(app: Flask, deliveries: set[_Delivery]) -> None:
    if deliveries:
        rows = [delivery.row for delivery in deliveries]
        attempts.attempt(app, NAME, mail_delivery.release, rows)
