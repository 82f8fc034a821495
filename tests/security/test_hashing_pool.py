"""The threads that hash passwords."""

import multiprocessing
import os
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import suppress

import pytest
from flask import Flask
from flask.testing import FlaskClient

from app.errors import Overloaded
from app.models import User
from app.security.hashing_pool import NICENESS, HashingPool
from tests.factories import API, PASSWORD, log_in, me, problem


class Gate:
    """Something slow: it is under way until it is let go."""

    def __init__(self) -> None:
        self.entered = threading.Semaphore(0)
        self.open = threading.Event()

    def hash(self, result: int = 0) -> int:
        self.entered.release()
        self.open.wait(10)
        return result


@pytest.fixture
def gate() -> Iterator[Gate]:
    gate = Gate()
    yield gate
    gate.open.set()


def occupy(pool: HashingPool, gate: Gate, callers: int) -> list[threading.Thread]:
    """So many callers, each waiting in a thread of its own."""
    threads = [threading.Thread(target=pool.run, args=(gate.hash,)) for _ in range(callers)]
    for thread in threads:
        thread.start()
    return threads


def test_it_returns_what_the_function_returns() -> None:
    assert HashingPool(1, 0).run(pow, 2, 10) == 1024


def test_it_raises_what_the_function_raises() -> None:
    with pytest.raises(ZeroDivisionError):
        HashingPool(1, 0).run(divmod, 1, 0)


def test_no_more_run_at_once_than_there_are_threads(gate: Gate) -> None:
    pool = HashingPool(2, 5)

    threads = occupy(pool, gate, 5)

    assert gate.entered.acquire(timeout=5)
    assert gate.entered.acquire(timeout=5)
    assert not gate.entered.acquire(timeout=0.2)
    gate.open.set()
    for thread in threads:
        thread.join(5)


def test_beyond_the_queue_it_refuses_at_once_and_takes_callers_again_later(gate: Gate) -> None:
    pool = HashingPool(1, 1)
    threads = occupy(pool, gate, 2)
    assert gate.entered.acquire(timeout=5)
    # The other one has only to get from the start of its thread to its place in the queue.
    time.sleep(0.3)

    with pytest.raises(Overloaded):
        pool.run(gate.hash)

    gate.open.set()
    for thread in threads:
        thread.join(5)
    assert pool.run(gate.hash, 7) == 7


def test_a_refusal_waits_for_nobody(gate: Gate) -> None:
    pool = HashingPool(1, 0)
    (occupant,) = occupy(pool, gate, 1)
    assert gate.entered.acquire(timeout=5)
    refusals: list[Overloaded] = []

    def ask() -> None:
        try:
            pool.run(gate.hash)
        except Overloaded as refusal:
            refusals.append(refusal)

    asking = threading.Thread(target=ask)
    asking.start()
    asking.join(2)

    assert len(refusals) == 1
    gate.open.set()
    occupant.join(5)
    asking.join(10)


def test_a_refused_or_failing_call_leaves_its_place_to_others() -> None:
    pool = HashingPool(1, 0)
    for _ in range(3):
        with suppress(ZeroDivisionError):
            pool.run(divmod, 1, 0)

    assert pool.run(abs, -1) == 1


@pytest.mark.skipif(sys.platform != "linux", reason="threads have priorities on Linux alone")
def test_its_threads_give_way_to_all_others() -> None:
    before = os.getpriority(os.PRIO_PROCESS, threading.get_native_id())

    inside = HashingPool(1, 0).run(
        lambda: os.getpriority(os.PRIO_PROCESS, threading.get_native_id())
    )

    assert inside == min(19, max(before, NICENESS))
    assert os.getpriority(os.PRIO_PROCESS, threading.get_native_id()) == before


def test_a_flood_of_logins_is_refused_at_the_end_of_the_queue_and_nobody_else_feels_it(
    app: Flask, client: FlaskClient, ada: User, gate: Gate
) -> None:
    token = log_in(client, ada)["access_token"]
    pool = app.extensions["hashing_pool"] = HashingPool(1, 0)
    threads = occupy(pool, gate, 1)
    assert gate.entered.acquire(timeout=5)

    refused = client.post(f"{API}/auth/login", json={"username": "ada", "password": PASSWORD})
    read = me(client, token)

    assert problem(refused) == (503, "overloaded")
    assert refused.headers["Retry-After"].isdecimal()
    assert read.status_code == 200
    gate.open.set()
    threads[0].join(5)


@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
def test_a_process_that_was_forked_off_has_threads_of_its_own(
    app: Flask, client: FlaskClient, ada: User
) -> None:
    log_in(client, ada)

    def hash_in_the_child(answers: "multiprocessing.Queue[bool]") -> None:
        from app.security import passwords

        with app.app_context():
            answers.put(passwords.verify(PASSWORD, ada.hashed_password).is_right)

    context = multiprocessing.get_context("fork")
    answers: multiprocessing.Queue[bool] = context.Queue()
    child = context.Process(target=hash_in_the_child, args=(answers,))
    child.start()

    assert answers.get(timeout=10)
    child.join(10)
