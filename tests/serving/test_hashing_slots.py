"""Logins on several workers, which share the machine's hashing slots."""

import os
import re
import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest
import requests

from tests.conftest import ENVIRONMENT
from tests.factories import PASSWORD
from tests.servers import Server, serving
from tests.serving.test_serving import new_database, workers
from tests.waiting import until

CREDENTIALS = {"username": "ada", "password": PASSWORD}


@contextmanager
def new_server(folder: Path, **variables: str) -> Iterator[Server]:
    """Two workers; each login takes a quarter of a second of a core."""
    variables = ENVIRONMENT | {"WEB_CONCURRENCY": "2", "BCRYPT_ROUNDS": "12"} | variables
    with (
        new_database("sqlite", folder, BCRYPT_ROUNDS="12") as url,
        serving(folder / "log", DATABASE_URL=url, **variables) as server,
    ):
        yield server


def connected_to_one_worker(server: Server, number: int) -> list[requests.Session]:
    """So many connections that stay open, all of them to the same worker."""
    stopped = workers(server).pop()
    os.kill(stopped, signal.SIGSTOP)
    try:
        clients = [requests.Session() for _ in range(number)]
        for client in clients:
            assert client.get(f"{server.url}/healthz", timeout=20).status_code == 200
    finally:
        os.kill(stopped, signal.SIGCONT)
    return clients


def log_in(client: requests.Session, server: Server) -> int:
    return client.post(f"{server.api}/auth/login", json=CREDENTIALS, timeout=40).status_code


def running(server: Server) -> int:
    """How many passwords are being hashed, as the metrics tell."""
    scraped = requests.get(f"{server.url}/metrics", timeout=20).text
    found = re.search(r"^password_hashes_running ([0-9.]+)", scraped, re.M)
    return int(float(found[1])) if found else 0


def test_logins_of_one_worker_use_all_slots(tmp_path: Path) -> None:
    with new_server(tmp_path, HASH_CONCURRENCY="2") as server, ThreadPoolExecutor(8) as pool:
        clients = connected_to_one_worker(server, 8)

        answers = [pool.submit(log_in, client, server) for client in clients]

        assert until(lambda: running(server) == 2)
        assert [answer.result() for answer in answers] == [200] * 8


def test_a_worker_that_is_killed_while_it_hashes_gives_its_slots_back(tmp_path: Path) -> None:
    with (
        new_server(tmp_path, HASH_CONCURRENCY="1", BCRYPT_ROUNDS="14") as server,
        ThreadPoolExecutor(1) as pool,
    ):
        before = workers(server)
        lost = pool.submit(log_in, requests.Session(), server)
        until(lambda: running(server) == 1)

        # Only one of them hashes. The other is killed as well, so that all is in new hands.
        for process in before:
            os.kill(process, signal.SIGKILL)

        with pytest.raises(requests.ConnectionError):
            lost.result()
        until(lambda: len(workers(server)) == 2 and not workers(server) & before)
        assert log_in(requests.Session(), server) == 200
