"""What a flood of logins does to everybody else.

    .venv/bin/python -m benchmarks.login_storm

``GET /users/me`` at 50 requests a second, calm and while 32 connections log
in without a pause, in interleaved rounds on PostgreSQL with bcrypt at its
production cost. Prints the median, p99 and worst of both, refusals, and the
logins a second beside those that bare bcrypt reaches on the same cores.
"""

import argparse
import os
import re
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import bcrypt
import requests

from tests.conftest import SECRET_KEY, new_postgres_database
from tests.serving import ROOT, Server, environment_for, flask, serving

PACE = 50
FLOOD = 32
PASSWORD = "password123"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=10, help="of each part of a round")
    given = parser.parse_args()

    with ExitStack() as stack:
        server = _start(stack)
        token = _register_and_log_in(server)
        calm: list[float] = []
        stormy: list[float] = []
        logins: list[float] = []
        alone: list[float] = []
        for number in range(given.rounds):
            print(f"round {number + 1} of {given.rounds} …", file=sys.stderr)
            calm += _paced(server, token, given.seconds)
            flood = threading.Thread(
                target=lambda: logins.append(_flood(server, given.seconds + 2))
            )
            flood.start()
            time.sleep(1)
            stormy += _paced(server, token, given.seconds)
            flood.join()
            alone.append(_bare_bcrypt(given.seconds))

    for name, times in (("calm", calm), ("storm", stormy)):
        answered = sorted(t for t in times if t >= 0)
        print(
            f"GET /users/me, {name:5}  median {statistics.median(answered):6.1f} ms"
            f"  p99 {_p99(answered):6.1f} ms  worst {answered[-1]:6.1f} ms"
            f"  refused {sum(t < 0 for t in times)} of {len(times)}"
        )
    print(f"p99 in the storm is {_p99(stormy) / _p99(calm):.2f} × calm")
    ratios = [with_us / bare for with_us, bare in zip(logins, alone, strict=True)]
    print(
        f"logins in the storm: {statistics.median(logins):.1f}/s,"
        f" {statistics.median(ratios):.2f} of bare bcrypt ({statistics.median(alone):.1f}/s)"
    )


def _start(stack: ExitStack) -> Server:
    folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
    variables = {
        "DATABASE_URL": stack.enter_context(new_postgres_database()),
        "SECRET_KEY": SECRET_KEY,
        "MAX_SESSIONS_PER_USER": "10000",
        "LOG_LEVEL": "WARNING",
        # All log in to one account from one address, more at once than anybody does.
        "RATELIMIT_ENABLED": "false",
    }
    flask("db", "upgrade", environment=environment_for(**variables))
    return stack.enter_context(serving(folder / "server.log", **variables))


def _register_and_log_in(server: Server) -> str:
    account = {"email": "ada@example.com", "username": "ada", "password": PASSWORD}
    requests.post(f"{server.api}/auth/register", json=account, timeout=10).raise_for_status()
    credentials = {"username": "ada", "password": PASSWORD}
    answer = requests.post(f"{server.api}/auth/login", json=credentials, timeout=10)
    token: str = answer.json()["access_token"]
    return token


def _paced(server: Server, token: str, seconds: int) -> list[float]:
    """Milliseconds of each request, begun on the beat whatever the others do; -1 if refused."""
    sessions = threading.local()

    def ask(due: float) -> float:
        if not hasattr(sessions, "one"):
            sessions.one = requests.Session()
        answer = sessions.one.get(
            f"{server.api}/users/me", headers={"Authorization": f"Bearer {token}"}, timeout=60
        )
        return (time.monotonic() - due) * 1000 if answer.status_code == 200 else -1

    with ThreadPoolExecutor(PACE) as pool:
        begin = time.monotonic() + 0.1
        under_way = []
        for beat in range(PACE * seconds):
            due = begin + beat / PACE
            time.sleep(max(0, due - time.monotonic()))
            under_way.append(pool.submit(ask, due))
        return [one.result() for one in under_way]


def _flood(server: Server, seconds: int) -> float:
    """Logins a second that 32 connections get through."""
    done = subprocess.run(
        [
            *("wrk", "-t2", f"-c{FLOOD}", f"-d{seconds}s", "--timeout", "60s"),
            *("-s", str(ROOT / "benchmarks" / "login.lua"), f"{server.api}/auth/login"),
            *("--", "ada", PASSWORD),
        ],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    refused = re.search(r"Non-2xx or 3xx responses: (\d+)", done)
    answered = int(re.search(r"(\d+) requests in", done)[1])  # type: ignore[index]
    return (answered - int(refused[1] if refused else 0)) / seconds


def _bare_bcrypt(seconds: int) -> float:
    """Hashes a second of as many threads as there are cores; bcrypt lets go of the GIL."""
    end = time.monotonic() + seconds
    salt = bcrypt.gensalt(12)

    def hash_until_the_end(_: int) -> int:
        hashed = 0
        while time.monotonic() < end:
            bcrypt.hashpw(b"x" * 64, salt)
            hashed += 1
        return hashed

    cores = os.cpu_count() or 1
    with ThreadPoolExecutor(cores) as pool:
        return sum(pool.map(hash_until_the_end, range(cores))) / seconds


def _p99(times: list[float]) -> float:
    return statistics.quantiles([t for t in times if t >= 0], n=100)[98]


if __name__ == "__main__":
    main()
