"""Runs many ``flask`` commands, each in a fork of one process that has imported everything.

Reads cases from standard input as JSON: ``[{"args": […], "stdin": hex, "stdout": kind}, …]``,
and writes what became of each to the file that is its argument.
"""

import gc
import json
import os
import signal
import sys
import tempfile
import traceback
from pathlib import Path
from typing import Any

import flask.cli
from sqlalchemy.orm import configure_mappers

from app import create_app, read_settings
from tests.servers import ROOT

SECONDS = 60


def closed(descriptor: int) -> None:
    """As a shell closes a stream (``>&-``)."""
    os.close(descriptor)
    setattr(sys, ("stdin", "stdout", "stderr")[descriptor], None)


def become(case: dict[str, Any], output: int, errors: int) -> None:
    """Be the process that the shell would start."""
    os.dup2(errors, 2)
    if case["stdin"] == "closed":
        closed(0)
    else:
        given = tempfile.TemporaryFile()  # noqa: SIM115 — until the process ends
        given.write(bytes.fromhex(case["stdin"]))
        given.seek(0)
        os.dup2(given.fileno(), 0)
    match case["stdout"]:
        case "closed":
            closed(1)
        case "broken":
            reader, writer = os.pipe()
            os.close(reader)
            os.dup2(writer, 1)
        case "full":
            os.dup2(os.open("/dev/full", os.O_WRONLY), 1)
        case _:
            os.dup2(output, 1)
    if case["stdout"] != "closed":
        # The stream of the first process may have a position to seek, and a pipe has none.
        sys.stdout = open(  # noqa: SIM115 — until the process ends
            1, "w", encoding=sys.stdout.encoding, errors=sys.stdout.errors, closefd=False
        )
    signal.alarm(SECONDS)
    sys.argv = ["flask", "--app", str(ROOT / "wsgi.py"), *case["args"]]


def in_a_fork(case: dict[str, Any]) -> dict[str, Any] | None:
    """What became of it; ``None`` in the process that is to do it."""
    with tempfile.TemporaryFile() as output, tempfile.TemporaryFile() as errors:
        child = os.fork()
        if not child:
            become(case, output.fileno(), errors.fileno())
            return None
        _, status = os.waitpid(child, 0)
        output.seek(0)
        errors.seek(0)
        return {
            "status": os.waitstatus_to_exitcode(status),
            "stdout": output.read().decode("utf-8", "replace"),
            "stderr": errors.read().decode("utf-8", "replace"),
        }


def make_ready() -> None:
    """Do once what every command would do first, and share its memory with the forks.

    Each command makes an application of its own nevertheless: a refusal may
    happen there, and it finds the streams of the command.
    """
    create_app(read_settings({**os.environ, "DATABASE_URL": "sqlite:///ready.db"}))
    configure_mappers()
    gc.freeze()


def main() -> None:
    results = Path(sys.argv[1])
    make_ready()
    told = []
    for case in json.load(sys.stdin):
        done = in_a_fork(case)
        if done is None:
            try:
                flask.cli.main()
            except Exception:
                # As Python ends a process, which forks of this one do not reach.
                traceback.print_exc()
                sys.exit(1)
            return
        told.append(done)
    results.write_text(json.dumps(told))


if __name__ == "__main__":
    main()
