"""The hashing slots of the machine. A process hashes a password only while it holds one of them.

The processes that were forked from one server share the slots. So the workers
compute no more hashes at once than there are slots, and any worker can use
all of them while the others have nothing to hash.

Each slot is a lock on one byte of a file. The system frees the locks of a
process that ends, even if it was killed; a semaphore would stay taken.
"""

import fcntl
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from select import POLLIN, poll
from tempfile import TemporaryFile
from weakref import finalize

# The places of the locks in the file: one byte for each slot, then the byte that guards the
# counter of turns, and then one byte for each turn.
MOST_SLOTS = 1024
COUNTER = MOST_SLOTS
FIRST_TURN = MOST_SLOTS + 1
# The counter is the content of the file.
COUNTER_BYTES = 8

# A process that was killed does not tell the others that its slots are free. So a process that
# waits for a slot also tries again after this time.
LOOK_MILLISECONDS = 100


class SharedFile:
    """The file of the locks, and a pipe that tells of freed slots. Make it before the fork."""

    def __init__(self) -> None:
        # It has no name, and the system removes it when the last process ends.
        with TemporaryFile() as file:
            self.number = os.dup(file.fileno())
        self.freed, self.free = os.pipe()
        for end in (self.freed, self.free):
            os.set_blocking(end, False)
        for descriptor in (self.number, self.freed, self.free):
            finalize(self, os.close, descriptor)

    def lock(self, place: int) -> None:
        """Wait for the lock on this byte."""
        fcntl.lockf(self.number, fcntl.LOCK_EX, 1, place)

    def try_to_lock(self, place: int) -> bool:
        """Lock this byte, unless another process has locked it."""
        try:
            fcntl.lockf(self.number, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, place)
        except (BlockingIOError, PermissionError):
            return False
        return True

    def unlock(self, place: int) -> None:
        fcntl.lockf(self.number, fcntl.LOCK_UN, 1, place)


class Slots:
    """One process's way to the slots. Make it after the fork.

    A lock on the file belongs to the whole process, so this object also keeps
    the threads of the process apart.
    """

    def __init__(self, file: SharedFile, number: int) -> None:
        self._file = file
        self._number = number
        self._held: set[int] = set()
        self._next = threading.Lock()

    @contextmanager
    def one(self) -> Iterator[None]:
        """Wait for a slot, and hold it until the block ends."""
        # Only one thread of this process takes a turn at a time.
        with self._next, self._turn():
            slot = self._wait_for_one()
        try:
            yield
        finally:
            self._give_back(slot)

    @contextmanager
    def _turn(self) -> Iterator[None]:
        """Wait until every process that asked before has its slot.

        Without turns, a process that gives a slot back would take it again
        before the other processes awake. Each process takes a number and locks
        the byte of that number. It then waits for the byte of the number
        before, which is free when the process before it has its slot, or has
        ended.
        """
        number = self._take_number()
        try:
            self._file.lock(FIRST_TURN + number - 1)
            self._file.unlock(FIRST_TURN + number - 1)
            yield
        finally:
            self._file.unlock(FIRST_TURN + number)

    def _take_number(self) -> int:
        self._file.lock(COUNTER)
        try:
            last = int.from_bytes(os.pread(self._file.number, COUNTER_BYTES, 0))
            os.pwrite(self._file.number, (last + 1).to_bytes(COUNTER_BYTES), 0)
            self._file.lock(FIRST_TURN + last + 1)
            return last + 1
        finally:
            self._file.unlock(COUNTER)

    def _wait_for_one(self) -> int:
        told = poll()
        told.register(self._file.freed, POLLIN)
        while True:
            self._forget_what_was_told()
            for slot in range(self._number):
                if slot not in self._held and self._file.try_to_lock(slot):
                    self._held.add(slot)
                    return slot
            told.poll(LOOK_MILLISECONDS)

    def _forget_what_was_told(self) -> None:
        """Empty the pipe. This comes before the look, so that no later word is lost."""
        with suppress(BlockingIOError):
            os.read(self._file.freed, 65536)

    def _give_back(self, slot: int) -> None:
        # In this order: the set keeps this process's other threads from the slot until it is
        # unlocked. The unlocking would take it from them.
        self._file.unlock(slot)
        self._held.discard(slot)
        # The pipe may be full of words that no process has read, because none waits.
        with suppress(BlockingIOError):
            os.write(self._file.free, b".")
