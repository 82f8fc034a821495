"""The threads that hash passwords."""

import multiprocessing
import os
import queue
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress

import pytest
from flask import Flask
from flask.testing import FlaskClient

from app.errors import Overloaded
from app.http.client import Client
from app.models import User
from app.observability.metrics import HASH_WAIT, HASHES_REFUSED, HASHES_RUNNING, HASHES_WAITING
from app.security.passwords import pool as hashing_pool
from app.security.passwords.pool import NICENESS, HashingPool
from tests.factories import API, PASSWORD, log_in, me, problem
from tests.servers import ROOT
from tests.waiting import until

SOMEBODY = Client("192.0.2.1")


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


def occupy(
    pool: HashingPool, gate: Gate, callers: int, who: Client = SOMEBODY
) -> list[threading.Thread]:
    """So many callers, each waiting in a thread of its own."""
    threads = [threading.Thread(target=pool.run, args=(who, gate.hash)) for _ in range(callers)]
    for thread in threads:
        thread.start()
    return threads


def test_it_returns_what_the_function_returns() -> None:
    assert HashingPool(1, 0).run(SOMEBODY, pow, 2, 10) == 1024


def test_it_raises_what_the_function_raises() -> None:
    with pytest.raises(ZeroDivisionError):
        HashingPool(1, 0).run(SOMEBODY, divmod, 1, 0)


def test_no_more_run_at_once_than_there_are_threads(gate: Gate) -> None:
    pool = HashingPool(2, 5)

    threads = occupy(pool, gate, 5)

    assert gate.entered.acquire(timeout=30)
    assert gate.entered.acquire(timeout=30)
    assert not gate.entered.acquire(timeout=0.2)
    gate.open.set()
    for thread in threads:
        thread.join(5)


def test_beyond_the_queue_it_refuses_at_once_and_takes_callers_again_later(gate: Gate) -> None:
    pool = HashingPool(1, 1)
    threads = occupy(pool, gate, 2)
    assert gate.entered.acquire(timeout=30)
    # The other one has only to get from the start of its thread to its place in the queue.
    time.sleep(0.3)

    with pytest.raises(Overloaded):
        pool.run(SOMEBODY, gate.hash)

    gate.open.set()
    for thread in threads:
        thread.join(5)
    assert pool.run(SOMEBODY, gate.hash, 7) == 7


def test_a_refusal_waits_for_nobody(gate: Gate) -> None:
    pool = HashingPool(1, 0)
    (occupant,) = occupy(pool, gate, 1)
    assert gate.entered.acquire(timeout=30)
    refusals: list[Overloaded] = []

    def ask() -> None:
        try:
            pool.run(SOMEBODY, gate.hash)
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
            pool.run(SOMEBODY, divmod, 1, 0)

    assert pool.run(SOMEBODY, abs, -1) == 1


@pytest.mark.skipif(sys.platform != "linux", reason="threads have priorities on Linux alone")
def test_its_threads_give_way_to_all_others() -> None:
    before = os.getpriority(os.PRIO_PROCESS, threading.get_native_id())

    inside = HashingPool(1, 0).run(
        SOMEBODY, lambda: os.getpriority(os.PRIO_PROCESS, threading.get_native_id())
    )

    assert inside == min(19, before + NICENESS)
    assert os.getpriority(os.PRIO_PROCESS, threading.get_native_id()) == before


@pytest.mark.skipif(sys.platform != "linux", reason="threads have priorities on Linux alone")
@pytest.mark.parametrize(("of_the_process", "of_its_threads"), [(3, 13), (15, 19), (19, 19)])
def test_its_threads_give_way_where_the_process_gives_way_itself(
    of_the_process: int, of_its_threads: int
) -> None:
    show = "print(os.getpriority(os.PRIO_PROCESS, threading.get_native_id()))"
    script = (
        "import os, threading; from app.http.client import Client; "
        "from app.security.passwords.pool import HashingPool; "
        f"HashingPool(1, 0).run(Client(), lambda: {show})"
    )
    before = os.getpriority(os.PRIO_PROCESS, 0)

    done = subprocess.run(
        ["nice", "-n", str(of_the_process - before), sys.executable, "-c", script],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )

    assert int(done.stdout) == of_its_threads


def test_a_flood_of_logins_is_refused_at_the_end_of_the_queue_and_nobody_else_feels_it(
    app: Flask, client: FlaskClient, ada: User, gate: Gate, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = log_in(client, ada)["access_token"]
    pool = HashingPool(1, 0)
    monkeypatch.setitem(app.extensions, "hashing_pool", pool)
    threads = occupy(pool, gate, 1)
    assert gate.entered.acquire(timeout=30)

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
        from app.security.passwords import hashing

        with app.app_context():
            answers.put(hashing.verify(PASSWORD, ada.hashed_password).is_right)

    context = multiprocessing.get_context("fork")
    answers: multiprocessing.Queue[bool] = context.Queue()
    child = context.Process(target=hash_in_the_child, args=(answers,))
    child.start()

    assert answers.get(timeout=30)
    child.join(10)


@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
def test_a_process_that_was_forked_off_shares_the_slots(
    make_app: Callable[..., Flask], gate: Gate
) -> None:
    app = make_app(HASH_CONCURRENCY="1")
    (occupant,) = occupy(app.extensions["hashing_pool"], gate, 1)
    assert gate.entered.acquire(timeout=30)

    def hash_in_the_child(answers: "multiprocessing.Queue[int]") -> None:
        with app.app_context():
            answers.put(hashing_pool.run(pow, 2, 10))

    context = multiprocessing.get_context("fork")
    answers: multiprocessing.Queue[int] = context.Queue()
    child = context.Process(target=hash_in_the_child, args=(answers,))
    child.start()

    with pytest.raises(queue.Empty):
        answers.get(timeout=1)
    gate.open.set()
    assert answers.get(timeout=30) == 1024
    child.join(10)
    occupant.join(5)


# Whose turn it is


class Desk:
    """A pool of one thread that is occupied, and callers who line up one after the other."""

    def __init__(self, gate: Gate, queue_limit: int) -> None:
        self.gate = gate
        self.pool = HashingPool(1, queue_limit)
        self.served: list[str] = []
        self.refused: list[str] = []
        self.threads = occupy(self.pool, gate, 1)
        assert gate.entered.acquire(timeout=30)

    def line_up(
        self, name: str, network: str, is_connected: Callable[[], bool] = lambda: True
    ) -> None:
        """Have a caller of that name wait, or be refused."""

        def ask() -> None:
            try:
                self.pool.run(Client(network, is_connected=is_connected), self.served.append, name)
            except Overloaded:
                self.refused.append(name)

        thread = threading.Thread(target=ask)
        thread.start()
        self.threads.append(thread)
        until(lambda: name in self.waiting() or name in self.refused)

    def waiting(self) -> list[str]:
        return [job.function.args[0] for job in self.pool._waiting()]  # type: ignore[attr-defined]

    def serve(self) -> list[str]:
        """Let all be served; who was, in the order of it."""
        self.gate.open.set()
        for thread in self.threads:
            thread.join(10)
        return self.served


def counted(reason: str) -> float:
    """How many were refused for that reason so far."""
    return HASHES_REFUSED.labels(reason)._value.get()


def test_callers_of_one_network_are_served_in_the_order_in_which_they_came(gate: Gate) -> None:
    desk = Desk(gate, 5)
    for name in ("first", "second", "third"):
        desk.line_up(name, "192.0.2.1")

    assert desk.serve() == ["first", "second", "third"]


def test_networks_take_turns_so_that_a_crowd_delays_itself_alone(gate: Gate) -> None:
    desk = Desk(gate, 9)
    for number in range(4):
        desk.line_up(f"crowd {number}", "192.0.2.1")
    desk.line_up("ada", "198.51.100.1")
    desk.line_up("bob", "203.0.113.1")

    served = desk.serve()

    assert served == ["crowd 0", "ada", "bob", "crowd 1", "crowd 2", "crowd 3"]


def test_a_network_that_fills_the_queue_makes_way_for_others(gate: Gate) -> None:
    desk = Desk(gate, 3)
    before = counted("displaced")
    for number in range(3):
        desk.line_up(f"crowd {number}", "192.0.2.1")

    desk.line_up("ada", "198.51.100.1")

    assert desk.serve() == ["crowd 0", "ada", "crowd 1"]
    assert desk.refused == ["crowd 2"]
    assert counted("displaced") == before + 1


def test_nobody_makes_way_for_who_has_as_many_waiting(gate: Gate) -> None:
    desk = Desk(gate, 2)
    before = counted("full")
    desk.line_up("ada", "192.0.2.1")
    desk.line_up("bob", "198.51.100.1")

    desk.line_up("one more of Ada's", "192.0.2.1")
    desk.line_up("grace", "203.0.113.1")

    assert sorted(desk.serve()) == ["ada", "bob"]
    assert desk.refused == ["one more of Ada's", "grace"]
    assert counted("full") == before + 2


def test_nothing_is_hashed_for_a_caller_who_left(gate: Gate) -> None:
    desk = Desk(gate, 5)
    before = counted("left")
    gone = threading.Event()
    desk.line_up("gone", "192.0.2.1", lambda: not gone.is_set())
    desk.line_up("ada", "192.0.2.1")

    gone.set()

    assert desk.serve() == ["ada"]
    assert desk.refused == ["gone"]
    assert counted("left") == before + 1


def test_callers_who_left_keep_no_place_in_a_full_queue(gate: Gate) -> None:
    desk = Desk(gate, 1)
    gone = threading.Event()
    desk.line_up("gone", "192.0.2.1", lambda: not gone.is_set())
    gone.set()

    desk.line_up("ada", "192.0.2.1")

    assert desk.serve() == ["ada"]
    assert desk.refused == ["gone"]


def test_nobody_waits_for_ever(gate: Gate, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hashing_pool, "LONGEST_WAIT_SECONDS", 0.05)
    desk = Desk(gate, 5)
    before = counted("too_late")

    desk.line_up("ada", "192.0.2.1")
    until(lambda: desk.refused == ["ada"])

    assert desk.serve() == []
    assert counted("too_late") == before + 1


def test_an_error_of_the_locks_is_logged(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(hashing_pool, "LONGEST_WAIT_SECONDS", 0.05)
    pool = HashingPool(1, 0)
    monkeypatch.setattr(pool._slots, "one", no_locks)

    with pytest.raises(Overloaded):
        pool.run(SOMEBODY, int)

    (line,) = caplog.records
    assert line.getMessage() == "a thread of the hashing pool failed"
    assert str(line.exc_info and line.exc_info[1]) == "No locks available"


def no_locks() -> None:
    raise OSError("No locks available")


def test_a_hash_that_has_begun_is_waited_for(gate: Gate, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hashing_pool, "LONGEST_WAIT_SECONDS", 0.01)
    pool = HashingPool(1, 0)

    assert pool.run(SOMEBODY, lambda: time.sleep(0.1) or 7) == 7


def test_the_queue_is_measured(gate: Gate) -> None:
    waits_before = waits()
    desk = Desk(gate, 5)
    desk.line_up("ada", "192.0.2.1")
    desk.line_up("bob", "192.0.2.1")

    until(lambda: HASHES_WAITING._value.get() == 2)
    running = HASHES_RUNNING._value.get()
    desk.serve()

    assert running == 1
    assert (HASHES_WAITING._value.get(), HASHES_RUNNING._value.get()) == (0, 0)
    assert waits() == waits_before + 3


def waits() -> float:
    """How many waits were measured so far."""
    return sum(bucket.get() for bucket in HASH_WAIT._buckets)
