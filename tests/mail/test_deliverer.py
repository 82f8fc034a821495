"""Who delivers: the server by itself, one process a machine, or processes of their own."""

import json
import os
import signal
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import flask_migrate
import pytest
import requests
from flask import Flask
from sqlalchemy import update

from app import clock, create_app, read_settings
from app.extensions import db
from app.mail import messages, outbox
from app.models import OutboxMessage
from tests.conftest import ENVIRONMENT, HAS_POSTGRES, new_postgres_database
from tests.mail.letters import Letter, queue, read_letters, rows
from tests.mail.post_office import PostOffice, open_office
from tests.servers import (
    BIN,
    ROOT,
    Server,
    environment_for,
    free_port,
    run_flask_commands,
    serving,
)
from tests.waiting import until

needs_postgres = pytest.mark.skipif(not HAS_POSTGRES, reason="no PostgreSQL")
BACKENDS = [pytest.param("sqlite"), pytest.param("postgresql", marks=needs_postgres)]
PATIENCE = 30


@dataclass
class House:
    """A database and a folder for mail, for processes that are started on them."""

    app: Flask
    variables: dict[str, str]
    folder: Path

    @property
    def environment(self) -> dict[str, str]:
        return environment_for(**self.variables)

    @property
    def letters(self) -> list[Letter]:
        return read_letters(self.folder / "letters")

    @property
    def lock(self) -> Path | None:
        return next(iter((self.folder / "tmp").rglob("outbox-*.lock")), None)

    def states(self) -> list[str]:
        return [row.state for row in rows(self.app)]


@contextmanager
def house_on(url: str, folder: Path, **variables: str) -> Iterator[House]:
    (folder / "tmp").mkdir()
    variables = {
        **ENVIRONMENT,
        "DATABASE_URL": url,
        "MAIL_URL": f"file://{folder / 'letters'}",
        # The lock is found there.
        "TMPDIR": str(folder / "tmp"),
        **variables,
    }
    app = create_app(read_settings(variables))
    with app.app_context():
        flask_migrate.upgrade()
    yield House(app, variables, folder)
    with app.app_context():
        db.engine.dispose()


@pytest.fixture
def house(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[House]:
    if getattr(request, "param", "postgresql") == "sqlite":
        with house_on(f"sqlite:///{tmp_path / 'house.db'}", tmp_path) as house:
            yield house
        return
    if not HAS_POSTGRES:
        pytest.skip("no PostgreSQL")
    with new_postgres_database() as url, house_on(url, tmp_path) as house:
        yield house


on_both = pytest.mark.parametrize("house", BACKENDS, indirect=True)


def workers(server: Server) -> list[int]:
    master = server.process.pid
    return [int(pid) for pid in Path(f"/proc/{master}/task/{master}/children").read_text().split()]


def holders(house: House) -> list[int]:
    """The processes that hold the lock; those that wait for it have an arrow."""
    if house.lock is None:
        return []
    inode = str(house.lock.stat().st_ino)
    lines = [line.split() for line in Path("/proc/locks").read_text().splitlines()]
    return [
        int(fields[4])
        for fields in lines
        if fields[1] == "FLOCK" and fields[5].rpartition(":")[2] == inode
    ]


@contextmanager
def deliverer_process(house: House, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    """``flask outbox run``, killed at the end if it is still there."""
    process = subprocess.Popen(
        [BIN / "flask", "--app", ROOT / "wsgi.py", "outbox", "run", *arguments],
        cwd=ROOT,
        env=house.environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


# With the server


@on_both
def test_a_server_delivers_by_itself_by_one_of_its_workers(house: House) -> None:
    account = {"email": "ada@example.com", "username": "ada", "password": "correct horse battery"}
    with serving(house.folder / "log", **house.variables, WEB_CONCURRENCY="2") as server:
        until(lambda: len(workers(server)) == 2)

        registered = requests.post(f"{server.api}/auth/register", json=account, timeout=20)
        (letter,) = until(lambda: "delivered" in house.states() and house.letters)

        assert registered.status_code == 201
        assert letter.headers["To"] == "ada@example.com"
        (holder,) = holders(house)
        assert holder in workers(server)
        verified = requests.post(
            f"{server.api}/auth/email/verify", json={"token": letter.token}, timeout=20
        )
        assert verified.status_code == 204


def test_when_the_worker_that_delivers_is_killed_another_takes_over(house: House) -> None:
    with serving(house.folder / "log", **house.variables, WEB_CONCURRENCY="2") as server:
        (first,) = until(lambda: holders(house))

        os.kill(first, signal.SIGKILL)
        queue(house.app)
        until(lambda: house.states() == ["delivered"])

        (second,) = holders(house)
        assert second != first
        assert second in workers(server)


def test_of_two_servers_on_one_machine_one_delivers(house: House) -> None:
    with (
        serving(house.folder / "one", **house.variables, WEB_CONCURRENCY="1") as one,
        serving(house.folder / "other", **house.variables, WEB_CONCURRENCY="1") as other,
    ):
        (first,) = until(lambda: holders(house))

        queue(house.app)
        until(lambda: house.states() == ["delivered"])

        assert holders(house) == [first]
        assert first in workers(one) + workers(other)
        assert len(house.letters) == 1


def test_a_server_that_is_stopped_leaves_what_was_not_begun(house: House) -> None:
    with serving(house.folder / "log", **house.variables, WEB_CONCURRENCY="1"):
        until(lambda: holders(house))

    number = queue(house.app)

    log = (house.folder / "log").read_text()
    assert [row.id for row in rows(house.app) if row.state == "waiting"] == [number]
    assert "Traceback" not in log
    assert holders(house) == []


def test_an_absolute_request_line_and_forwarding_headers_move_no_link(house: House) -> None:
    body = json.dumps({"email": "ada@example.com"}).encode()
    account = {"email": "ada@example.com", "username": "ada", "password": "correct horse battery"}
    with serving(
        house.folder / "log",
        **house.variables,
        WEB_CONCURRENCY="1",
        PUBLIC_URL="https://accounts.example.com",
    ) as server:
        requests.post(
            f"{server.api}/auth/register",
            json=account,
            headers={"Host": "evil.example", "X-Forwarded-Host": "evil.example"},
            timeout=20,
        )
        port = int(server.url.rpartition(":")[2])
        with socket.create_connection(("127.0.0.1", port), timeout=20) as connection:
            connection.sendall(
                b"POST http://evil.example/api/v1/auth/password/forgot HTTP/1.1\r\n"
                b"Host: evil.example\r\nX-Forwarded-Host: evil.example\r\n"
                b"X-Forwarded-Proto: https\r\nForwarded: host=evil.example\r\n"
                b"Content-Type: application/json\r\nConnection: close\r\n"
                b"Content-Length: %d\r\n\r\n%s" % (len(body), body)
            )
            answer = connection.recv(1000)

        until(lambda: house.states() == ["delivered"] * 2)

    assert answer.startswith(b"HTTP/1.1 202")
    assert {letter.link.partition("/account/")[0] for letter in house.letters} == {
        "https://accounts.example.com"
    }
    assert len(house.letters) == 2


def test_commands_deliver_nothing_and_touch_no_lock(house: House) -> None:
    queue(house.app)

    run_flask_commands("users list", "outbox list", "prune", environment=house.environment)

    assert house.states() == ["waiting"]
    assert house.letters == []
    assert house.lock is None


# As processes of their own


@on_both
def test_a_process_of_its_own_delivers_until_it_is_stopped(house: House) -> None:
    for number in range(10):
        queue(house.app, to=f"ada+{number}@example.com")
    with deliverer_process(house) as process:
        until(lambda: house.states() == ["delivered"] * 10)

        process.send_signal(signal.SIGTERM)
        output, _ = process.communicate(timeout=PATIENCE)

    assert process.returncode == 0
    assert "Traceback" not in output
    assert len(house.letters) == 10


def test_two_processes_that_race_deliver_each_mail_once(house: House) -> None:
    office = PostOffice()
    with open_office(office):
        house.variables["MAIL_URL"] = f"smtp://127.0.0.1:{office.port}"
        with house.app.app_context():
            for number in range(300):
                outbox.queue(messages.verify_email, to=f"ada+{number}@example.com", token="a-token")
            db.session.commit()

        with deliverer_process(house) as one, deliverer_process(house) as other:
            until(lambda: set(house.states()) == {"delivered"}, patience=60)
            for process in (one, other):
                process.send_signal(signal.SIGTERM)
            outputs = [process.communicate(timeout=PATIENCE)[0] for process in (one, other)]

    addresses = [address for address, _ in office.received]
    assert len(addresses) == len(set(addresses)) == 300
    assert {row.attempts for row in rows(house.app)} == {1}
    # Both had a share in it.
    assert all(output.count("mail delivered") > 0 for output in outputs)


def test_a_mail_whose_deliverer_was_killed_is_delivered_after_the_lease(house: House) -> None:
    office = PostOffice(hanging={"ada@example.com"})
    with open_office(office):
        house.variables["MAIL_URL"] = f"smtp://127.0.0.1:{office.port}"
        queue(house.app, messages.verify_email, token="a-token")
        with deliverer_process(house) as process:
            until(lambda: rows(house.app)[0].attempts == 1)
            process.kill()
        (claimed,) = rows(house.app)
        office.hanging.clear()
        with house.app.app_context():
            db.session.execute(update(OutboxMessage).values(due_at=clock.now()))
            db.session.commit()

        with deliverer_process(house):
            until(lambda: house.states() == ["delivered"])

    (letter,) = office.letters
    assert claimed.state == "waiting"
    assert letter.headers["Message-ID"] == claimed.message_id
    assert letter.token == "a-token"


# Both commands give back by the same statement. So each runs on one of the databases.
@pytest.mark.parametrize(
    ("house", "arguments"),
    [
        pytest.param("sqlite", (), id="run"),
        pytest.param("postgresql", ("--once",), id="run --once", marks=needs_postgres),
    ],
    indirect=["house"],
)
def test_a_deliverer_that_is_stopped_gives_its_mails_back_at_once(
    house: House, arguments: tuple[str, ...]
) -> None:
    office = PostOffice(hanging={f"ada+{number}@example.com" for number in range(6)})
    with open_office(office):
        house.variables["MAIL_URL"] = f"smtp://127.0.0.1:{office.port}"
        for number in range(6):
            queue(house.app, messages.verify_email, to=f"ada+{number}@example.com", token="a-token")
        with deliverer_process(house, *arguments) as process:
            until(lambda: sum(row.attempts for row in rows(house.app)) == 4)

            process.send_signal(signal.SIGTERM)
            process.communicate(timeout=8)
        given_back = rows(house.app)
        office.hanging.clear()

        with deliverer_process(house):
            until(lambda: set(house.states()) == {"delivered"}, patience=15)

    assert {(row.attempts, row.lease, row.last_error) for row in given_back} == {(0, None, None)}
    assert {row.attempts for row in rows(house.app)} == {1}
    assert len(office.letters) == 6


def test_a_server_that_is_stopped_gives_its_mails_back_at_once(house: House) -> None:
    office = PostOffice(hanging={"ada@example.com"})
    with open_office(office):
        house.variables["MAIL_URL"] = f"smtp://127.0.0.1:{office.port}"
        queue(house.app, messages.verify_email, token="a-token")
        with serving(house.folder / "log", **house.variables, WEB_CONCURRENCY="2"):
            until(lambda: rows(house.app)[0].attempts == 1)

    (row,) = rows(house.app)
    assert (row.state, row.attempts, row.lease) == ("waiting", 0, None)
    assert "Traceback" not in (house.folder / "log").read_text()


def test_a_deliverer_that_is_stopped_waits_for_the_answer_to_what_it_handed_over(
    house: House,
) -> None:
    office = PostOffice(seconds_before_answer={"ada@example.com": 3})
    with open_office(office):
        house.variables["MAIL_URL"] = f"smtp://127.0.0.1:{office.port}"
        queue(house.app, messages.verify_email, token="a-token")
        with deliverer_process(house) as process:
            until(lambda: office.letters)

            process.send_signal(signal.SIGTERM)
            process.communicate(timeout=PATIENCE)

    assert house.states() == ["delivered"]
    assert len(office.letters) == 1


def test_a_database_that_is_away_for_a_while_stops_no_deliverer(house: House) -> None:
    with deliverer_process(house) as process:
        queue(house.app)
        until(lambda: house.states() == ["delivered"])
        with house.app.app_context():
            db.session.execute(
                db.text(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                    "WHERE datname = current_database() AND pid <> pg_backend_pid()"
                )
            )
            db.session.commit()

        queue(house.app, to="bob@example.com")
        until(lambda: house.states() == ["delivered"] * 2)

        assert process.poll() is None


def test_a_mail_server_that_is_away_stops_no_deliverer(house: House) -> None:
    house.variables["MAIL_URL"] = f"smtp://127.0.0.1:{free_port()}"
    queue(house.app)
    with deliverer_process(house) as process:
        until(lambda: rows(house.app)[0].last_error)

        assert process.poll() is None
        assert house.states() == ["waiting"]
