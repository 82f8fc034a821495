"""A real gunicorn, as README starts it, for what the test client cannot show."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import requests

from tests.factories import API

ROOT = Path(__file__).resolve().parent.parent
BIN = Path(sys.executable).parent


@dataclass
class Server:
    process: subprocess.Popen[bytes]
    url: str
    log: Path

    @property
    def api(self) -> str:
        return self.url + API


def environment_for(**variables: str) -> dict[str, str]:
    """This process's environment without settings of ours, and then the given variables."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if name in ("PATH", "HOME", "LANG", "TMPDIR", "VIRTUAL_ENV", "PYTHONDONTWRITEBYTECODE")
    }
    return kept | variables


def flask(*arguments: str, environment: Mapping[str, str], stdin: str = "") -> str:
    """Run a ``flask`` command to its end and return what it printed; fails if it fails."""
    done = subprocess.run(
        [BIN / "flask", "--app", ROOT / "wsgi.py", *arguments],
        cwd=ROOT,
        env=dict(environment),
        input=stdin,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def run_flask_commands(
    *commands: str, environment: Mapping[str, str], python: str | Path = sys.executable
) -> None:
    """Run ``flask`` commands one after the other in one process; fails if one of them fails.

    A process takes a second to start, and most commands take less.
    """
    done = subprocess.run(
        [python, "-c", ONE_AFTER_THE_OTHER, *commands],
        cwd=ROOT,
        env=dict(environment),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


ONE_AFTER_THE_OTHER = """
import sys
from wsgi import app

for command in sys.argv[1:]:
    ended = app.test_cli_runner().invoke(args=command.split())
    if ended.exit_code:
        sys.exit(f"{command}: {ended.output} {ended.exception!r}")
"""


@contextmanager
def serving(
    log: Path,
    *,
    application: str = "wsgi:app",
    folder: Path = ROOT,
    port: int | None = None,
    before: Sequence[str] = (),
    program: Sequence[str | Path] = (BIN / "gunicorn",),
    **variables: str,
) -> Iterator[Server]:
    """gunicorn with these variables on a free port, until the block ends.

    Its mail goes to a folder beside the log, and it has no pages, unless the variables say
    otherwise: to compile the pages takes as long as all else that a server does at its start.
    ``before`` are words in front of the command, like those of ``prlimit``.
    """
    port = port or free_port()
    mail = {"MAIL_URL": f"file://{log.parent / 'mail'}"}
    environment = environment_for(**mail | {"PAGES": "false"} | variables, PORT=str(port))
    with log.open("wb") as output:
        process = subprocess.Popen(
            [*before, *program, application],
            cwd=folder,
            env=environment,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        url = f"http://127.0.0.1:{port}"
        _wait_until_healthy(url, process, log)
        yield Server(process, url, log)
    finally:
        process.terminate()
        process.wait(timeout=40)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _wait_until_healthy(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    # A busy machine takes half a minute.
    deadline = time.monotonic() + 90
    while time.monotonic() < deadline:
        assert process.poll() is None, log.read_text()
        try:
            if requests.get(f"{url}/healthz", timeout=2).status_code == 200:
                return
        except (requests.ConnectionError, requests.Timeout):
            time.sleep(0.05)
    raise AssertionError(f"not healthy after 90 s\n{log.read_text()}")
