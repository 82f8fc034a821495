"""Starts servers for the benchmarks, and reads their processor time, memory and latency."""

import os
import re
import subprocess
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import bcrypt
import requests

from tests.conftest import SECRET_KEY
from tests.servers import BIN, ROOT, Server, environment_for, flask, free_port, serving

PASSWORD = "password123"
# As many clients send requests to ``GET /users/me``. With one token for all of them, whatever is
# remembered about a token would seem to cost nothing.
DIFFERENT_TOKENS = 1000
READERS = 10

# The settings of production, except limits that would stop any load test.
PRODUCT = {
    "SECRET_KEY": SECRET_KEY,
    "APP_ENV": "testing",
    # The issuer of the tokens, which the ceiling reads too.
    "PUBLIC_URL": "http://localhost:8000",
    "LOG_FORMAT": "json",
    "MAX_SESSIONS_PER_USER": "10000",
    "RATELIMIT_LOGIN": "1000000 per minute",
    "RATELIMIT_REGISTER": "1000000 per minute",
    "RATELIMIT_LOGIN_FAILURES": "1000000 per minute",
    "RATELIMIT_TOKEN": "1000000 per minute",
    "RATELIMIT_WRITES": "1000000 per minute",
}


@contextmanager
def product(folder: Path, database_url: str, **variables: str) -> Iterator[Server]:
    """Run the product; its database is upgraded first."""
    variables = PRODUCT | {"DATABASE_URL": database_url} | variables
    flask("db", "upgrade", environment=environment_for(**variables))
    scheme = database_url.partition(":")[0]
    with serving(folder / f"product-{scheme}.log", **variables) as server:
        yield server


@contextmanager
def beside(folder: Path, application: str, **variables: str) -> Iterator[Server]:
    """Run another application on the same gunicorn with the same workers and threads."""
    port = free_port()
    command = [
        BIN / "gunicorn",
        *("--config", os.devnull, "--bind", f"127.0.0.1:{port}", "--preload"),
        *("--worker-class", "gthread", "--threads", "32", "--keep-alive", "75"),
        *("--workers", str(os.cpu_count())),
        application,
    ]
    log = folder / f"{application}.log"
    environment = environment_for(SECRET_KEY=SECRET_KEY, **variables)
    with log.open("wb") as output:
        process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=output, stderr=output)
    url = f"http://127.0.0.1:{port}"
    try:
        for _ in range(100):
            try:
                requests.get(url, timeout=1)
                break
            except requests.ConnectionError:
                time.sleep(0.1)
        yield Server(process, url, log)
    finally:
        process.terminate()
        process.wait()


def register(server: Server, *names: str) -> None:
    for name in names:
        account = {"email": f"{name}@example.com", "username": name, "password": PASSWORD}
        answer = requests.post(f"{server.api}/auth/register", json=account, timeout=10)
        answer.raise_for_status()


def log_in(server: Server, name: str) -> dict[str, str]:
    """Log the user in. Returns the token pair."""
    credentials = {"username": name, "password": PASSWORD}
    answer = requests.post(f"{server.api}/auth/login", json=credentials, timeout=60)
    answer.raise_for_status()
    pair: dict[str, str] = answer.json()
    return pair


def access_tokens(server: Server) -> list[str]:
    """Register some users, and log them in many times. The server must allow so many sessions."""
    readers = [f"reader{number}" for number in range(READERS)]
    register(server, *readers)

    def log_in_often(reader: str) -> list[str]:
        # One login after the other, because logins to one account at once are refused.
        often = range(DIFFERENT_TOKENS // READERS)
        return [log_in(server, reader)["access_token"] for _ in often]

    with ThreadPoolExecutor(READERS) as pool:
        return [token for tokens in pool.map(log_in_often, readers) for token in tokens]


class Load(NamedTuple):
    """The measurements of wrk."""

    per_second: float
    requests: int
    p99_milliseconds: float


def load(*arguments: str, connections: int, seconds: int, threads: int = 2) -> Load:
    """Load a server with wrk (Debian: ``apt-get install wrk``). Fails on any refusal."""
    done = subprocess.run(
        [
            *("wrk", f"-t{threads}", f"-c{connections}", f"-d{seconds}s", "--latency"),
            *("--timeout", "30s", *arguments),
        ],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    refused = re.search(r"Non-2xx or 3xx responses: (\d+)|Socket errors.*", done)
    assert refused is None, done
    counted = re.search(r"(\d+) requests in", done)
    p99 = re.search(r"99%\s+([0-9.]+)(us|ms|s)", done)
    assert counted, done
    assert p99, done
    scale = {"us": 0.001, "ms": 1, "s": 1000}[p99[2]]
    return Load(int(counted[1]) / seconds, int(counted[1]), float(p99[1]) * scale)


def until_done(work: Callable[[int], Any], *, clients: int, seconds: float) -> float:
    """How often in a second ``clients`` finish the work.

    When the time is up, no client begins the work again. The function waits
    for work that has begun, and counts it, together with its time.
    """
    begin = time.monotonic()

    def repeat(client: int) -> int:
        done = 0
        while time.monotonic() - begin < seconds:
            work(client)
            done += 1
        return done

    with ThreadPoolExecutor(clients) as pool:
        return sum(pool.map(repeat, range(clients))) / (time.monotonic() - begin)


def bare_bcrypt(seconds: float) -> float:
    """Hashes a second, with a thread for each core; bcrypt releases the GIL."""
    salt = bcrypt.gensalt(12)
    return until_done(
        lambda _: bcrypt.hashpw(b"x" * 64, salt), clients=os.cpu_count() or 1, seconds=seconds
    )


def cpu_seconds(server: Server) -> float:
    """User and system time of gunicorn's master and its workers so far."""
    return _cpu_seconds(_processes(server))


def database_cpu_seconds() -> float:
    """The same for every PostgreSQL process on this machine."""
    names = (
        (path, path.joinpath("comm")) for path in Path("/proc").iterdir() if path.name.isdigit()
    )
    return _cpu_seconds(path.name for path, name in names if _read(name).startswith("postgres"))


def memory_mebibytes(server: Server) -> float:
    """The proportional set size of the master and its workers: shared pages count once."""
    kilobytes = 0
    for process in _processes(server):
        rollup = _read(Path(f"/proc/{process}/smaps_rollup"))
        kilobytes += sum(int(size) for size in re.findall(r"^Pss:\s+(\d+)", rollup, re.M))
    return kilobytes / 1024


def _processes(server: Server) -> list[str]:
    master = server.process.pid
    return [str(master), *_read(Path(f"/proc/{master}/task/{master}/children")).split()]


def _cpu_seconds(processes: Iterable[str]) -> float:
    ticks = 0
    for process in processes:
        fields = _read(Path(f"/proc/{process}/stat")).rpartition(")")[2].split()
        ticks += int(fields[11]) + int(fields[12]) if fields else 0
    return ticks / os.sysconf("SC_CLK_TCK")


def _read(path: Path) -> str:
    """A file of ``/proc``; empty if the process has just ended."""
    try:
        return path.read_text()
    except OSError:
        return ""
