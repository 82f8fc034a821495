"""The machine's hashing slots, shared by real processes."""

import os
import signal
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from threading import Event, Thread

import pytest

from app.security.passwords import slots
from app.security.passwords.slots import COUNTER_BYTES, SharedFile, Slots
from tests.waiting import until

pytestmark = pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")

PATIENCE = 10


class Worker:
    """A forked process that writes its name when it gets a slot, and holds the slot until told."""

    def __init__(self, name: str, shared: SharedFile, number: int, log: int, threads: int) -> None:
        self.name = name
        told, self.tell = os.pipe()
        self.process = os.fork()
        if self.process == 0:
            # Nothing of the test may run in the child.
            try:
                self._work(Slots(shared, number), log, told, threads)
            finally:
                os._exit(0)
        os.close(told)

    def _work(self, ours: Slots, log: int, told: int, threads: int) -> None:
        def hold() -> None:
            with ours.one():
                os.write(log, self.name.encode())
                os.read(told, 1)

        holding = [Thread(target=hold, daemon=True) for _ in range(threads)]
        for thread in holding:
            thread.start()
        for thread in holding:
            thread.join(PATIENCE)

    def give_back(self) -> None:
        """Let one of its threads give its slot back."""
        os.write(self.tell, b".")

    def kill(self) -> None:
        os.kill(self.process, signal.SIGKILL)

    def end(self) -> None:
        self.kill()
        os.waitpid(self.process, 0)
        os.close(self.tell)


class Machine:
    """Processes that share a number of slots, and what they wrote."""

    def __init__(self, number: int, stack: ExitStack) -> None:
        self.shared = SharedFile()
        self.number = number
        self._stack = stack
        self._read, self._log = os.pipe()
        os.set_blocking(self._read, False)
        for end in (self._read, self._log):
            stack.callback(os.close, end)

    def fork(self, name: str, threads: int = 1) -> Worker:
        worker = Worker(name, self.shared, self.number, self._log, threads)
        self._stack.callback(worker.end)
        return worker

    def names(self, count: int) -> str:
        """Wait for so many processes to get a slot. Returns their names, in the order of it."""
        seen = ""
        deadline = time.monotonic() + PATIENCE
        while len(seen) < count and time.monotonic() < deadline:
            seen += self._new_names()
            time.sleep(0.005)
        return seen

    def no_more_names(self) -> bool:
        time.sleep(0.3)
        return self._new_names() == ""

    def turns(self) -> int:
        """How many turns were asked for so far."""
        return int.from_bytes(os.pread(self.shared.number, COUNTER_BYTES, 0))

    def _new_names(self) -> str:
        try:
            return os.read(self._read, 100).decode()
        except BlockingIOError:
            return ""


@contextmanager
def new_machine(number: int) -> Iterator[Machine]:
    with ExitStack() as stack:
        yield Machine(number, stack)


def test_processes_hold_no_more_slots_together_than_there_are() -> None:
    with new_machine(2) as machine:
        workers = {name: machine.fork(name, threads=2) for name in "ab"}

        holding = machine.names(2)
        assert len(holding) == 2
        assert machine.no_more_names()

        workers[holding[0]].give_back()
        assert len(machine.names(1)) == 1
        assert machine.no_more_names()


def test_one_process_may_hold_all_slots_while_the_others_need_none() -> None:
    with new_machine(3) as machine:
        machine.fork("idle", threads=0)
        machine.fork("a", threads=4)

        assert machine.names(3) == "aaa"
        assert machine.no_more_names()


def test_a_process_that_is_killed_gives_its_slots_back() -> None:
    with new_machine(2) as machine:
        holder = machine.fork("a", threads=2)
        assert machine.names(2) == "aa"
        machine.fork("b", threads=2)
        assert machine.no_more_names()

        holder.kill()

        assert machine.names(2) == "bb"


def test_a_process_that_is_killed_while_it_waits_does_not_stop_the_others() -> None:
    with new_machine(1) as machine:
        holder = machine.fork("a")
        assert machine.names(1) == "a"
        # The first of them waits for the slot, and the other one for its turn.
        waiting = []
        for name in "bc":
            before = machine.turns()
            waiting.append(machine.fork(name))
            until(lambda before=before: machine.turns() == before + 1)  # type: ignore[misc]
        before = machine.turns()
        machine.fork("d")
        until(lambda: machine.turns() == before + 1)

        for worker in waiting:
            worker.kill()
        holder.give_back()

        assert machine.names(1) == "d"


def test_a_process_with_much_to_hash_lets_the_others_have_their_turns() -> None:
    with new_machine(1) as machine:
        busy = machine.fork("b", threads=5)
        assert machine.names(1) == "b"
        # Its next thread has asked for a turn already.
        until(lambda: machine.turns() == 2)
        machine.fork("o").give_back()
        until(lambda: machine.turns() == 3)

        for _ in range(5):
            busy.give_back()

        assert machine.names(5) == "bobbb"


def test_a_freed_slot_is_taken_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(slots, "LOOK_MILLISECONDS", PATIENCE * 1000)
    with new_machine(1) as machine:
        holder = machine.fork("a")
        assert machine.names(1) == "a"
        machine.fork("b")
        assert machine.no_more_names()

        began = time.monotonic()
        holder.give_back()

        assert machine.names(1) == "b"
        assert time.monotonic() - began < PATIENCE / 2


def test_a_slot_comes_back_when_the_work_fails() -> None:
    ours = Slots(SharedFile(), 1)

    with pytest.raises(ZeroDivisionError), ours.one():
        _ = 1 / 0

    with ours.one():
        pass


def test_threads_of_one_process_do_not_share_a_slot() -> None:
    ours = Slots(SharedFile(), 1)
    entered, done = Event(), Event()

    def hold() -> None:
        with ours.one():
            entered.set()
            done.wait(PATIENCE)

    first, second = Thread(target=hold), Thread(target=hold)
    first.start()
    assert entered.wait(PATIENCE)
    entered.clear()
    second.start()

    assert not entered.wait(0.3)
    done.set()
    assert entered.wait(PATIENCE)
    for thread in (first, second):
        thread.join(PATIENCE)


def test_the_file_is_closed_with_its_last_user() -> None:
    def descriptors() -> int:
        return len(list(Path("/proc/self/fd").iterdir()))

    before = descriptors()
    shared: SharedFile | None = SharedFile()
    assert descriptors() == before + 3

    shared = None  # noqa: F841 - the object has no other user

    assert descriptors() == before
