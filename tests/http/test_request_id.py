"""The ids of requests. ``test_problems.py`` has the ids that clients send."""

import subprocess
import sys
from uuid import UUID

from tests.servers import ROOT


def test_two_processes_never_make_the_same_request_id() -> None:
    script = """
import os
from app.http.request_id import _new
print(_new(), flush=True)
if child := os.fork():
    os.waitpid(child, 0)  # two that write at once may share a line
print(_new(), flush=True)
"""
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True
    )

    made = done.stdout.split()
    assert len(set(made)) == len(made) == 3
    assert all(UUID(one).version == 4 for one in made)
