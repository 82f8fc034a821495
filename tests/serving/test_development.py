"""``flask run --debug``, through a real process: mails, the audit log, and a file that changes."""

import os
import signal
import sqlite3
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from tests.factories import PASSWORD
from tests.servers import BIN, ROOT, Server, environment_for, flask, free_port
from tests.waiting import until

FEATURE = """
from flask import Blueprint
from app.features import Feature

bp = Blueprint("greeting", __name__)
bp.get("/greeting")(lambda: {word!r})
FEATURE = Feature(name="greeting", pages=[bp])
"""


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    """`flask run --debug` with a feature in ``tmp_path``."""
    (tmp_path / "greeting.py").write_text(FEATURE.format(word="Hello"))
    port = free_port()
    environment = environment_for(
        DATABASE_URL=f"sqlite:///{tmp_path / 'test.db'}",
        PYTHONPATH=str(tmp_path),
        FEATURES="greeting",
        TMPDIR=str(tmp_path),
        PORT="8231",
    )
    flask("db", "upgrade", environment=environment)
    log = tmp_path / "log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [BIN / "flask", "--app", ROOT / "wsgi.py", "run", "--debug", "--port", str(port)],
            cwd=ROOT,
            env=environment,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    started = Server(process, f"http://127.0.0.1:{port}", log)
    try:
        until(lambda: greeting(started) == "Hello")
        yield started
    finally:
        # The process that serves is a child of this one, and would go on without it.
        os.killpg(process.pid, signal.SIGTERM)
        process.wait(timeout=40)


def greeting(server: Server) -> str | None:
    try:
        return requests.get(f"{server.url}/greeting", timeout=5).text
    except (requests.ConnectionError, requests.Timeout):
        return None


def register(server: Server, name: str) -> str:
    """Register somebody over HTTP, and return the mail that appears on the terminal."""
    account = {"email": f"{name}@example.com", "username": name, "password": PASSWORD}
    answer = requests.post(f"{server.api}/auth/register", json=account, timeout=30)
    assert answer.status_code == 201, answer.text
    return str(until(lambda: mail_to(account["email"], server)))


def mail_to(address: str, server: Server) -> str | None:
    """The mail with its link, if the terminal shows it already."""
    _, begin, mail = server.log.read_text().rpartition(f"── mail to {address}")
    return mail if begin and "#token=" in mail else None


def test_it_prints_mails_seals_the_audit_log_and_goes_on_after_a_file_has_changed(
    server: Server, tmp_path: Path
) -> None:
    mail = register(server, "ada")
    until(lambda: number_of_seals(tmp_path / "test.db"))

    (tmp_path / "greeting.py").write_text(FEATURE.format(word="Good morning"))
    until(lambda: greeting(server) == "Good morning")
    register(server, "bob")

    log = server.log.read_text()
    assert f"http://localhost:{server.url.rpartition(':')[2]}/account/verify-email#token=" in mail
    assert log.count("── mail to bob@example.com") == 1
    # Each of the two processes that served did it, and the one that watches the files never.
    assert log.count("this process does the background work") == 4
    assert "\\x1b" not in log
    assert "\x1b[3" not in log


def number_of_seals(path: Path) -> int:
    with sqlite3.connect(path) as database:
        (number,) = database.execute("SELECT count(*) FROM audit_seals").fetchone()
    database.close()
    return int(number)
