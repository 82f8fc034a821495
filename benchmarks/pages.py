"""Measures what pages cost: their own time, and what they cost a server that only has the API.

    .venv/bin/python -m benchmarks.pages

It calls the account page, the page to log in and ``GET /users/me`` in one
process and one thread, with pages on and off, and prints the processor time of
each call. Then it starts servers with two workers, with pages on and off in
turn, and prints their memory (PSS), the time until they are healthy, and the
number of their routes. Rounds are interleaved; each figure is a median. It
needs PostgreSQL (``TEST_POSTGRES_URL``).
"""

import argparse
import statistics
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import flask_migrate
import requests
from flask import Flask
from werkzeug.test import EnvironBuilder

from app import create_app, read_settings
from benchmarks.hot_path import PASSWORD
from benchmarks.servers import PRODUCT, log_in, memory_mebibytes, register
from tests.conftest import ENVIRONMENT, new_postgres_database
from tests.cookies import browser, secret_of
from tests.factories import API
from tests.servers import environment_for, flask, serving

QUIET = {"LOG_FORMAT": "json", "LOG_LEVEL": "WARNING"}
CREDENTIALS = {"username": "ada", "password": PASSWORD}
ACCOUNT = CREDENTIALS | {"email": "ada@example.com"}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--calls", type=int, default=200, help="of each kind in a round")
    given = parser.parse_args()

    with new_postgres_database() as url:
        calls = _calls(url)
        timed = {name: _timed(call, given.calls) for name, call in calls.items()}
        times = _rounds(given.rounds, timed)
    print(f"{given.rounds} rounds of {given.calls} calls; processor time of one: median, least")
    for name, spent in times.items():
        print(
            f"{name:28} {statistics.median(spent):7.2f} ms {min(spent):7.2f} ms of processor time"
        )

    with new_postgres_database() as url, tempfile.TemporaryDirectory() as folder:
        flask("db", "upgrade", environment=environment_for(**PRODUCT, DATABASE_URL=url))
        servers = {
            "PAGES=false": partial(_serve, Path(folder), url, "false", 0),
            "PAGES=true": partial(_serve, Path(folder), url, "true", 0),
            "PAGES=true, 100 pages opened": partial(_serve, Path(folder), url, "true", 100),
        }
        figures = _rounds(given.rounds, servers)
    print(f"\nservers with two workers, {given.rounds} rounds; medians")
    for name, measured in figures.items():
        memory, start = (statistics.median(column) for column in zip(*measured, strict=True))
        print(f"{name:28} {memory:7.1f} MiB (PSS) {start:7.2f} s until healthy")


def _rounds(number: int, work: dict[str, Callable[[], Any]]) -> dict[str, list[Any]]:
    """What each piece of work returned in each round, after one round that does not count."""
    found: dict[str, list[Any]] = defaultdict(list)
    for each in range(number + 1):
        print(f"round {each} of {number} …", file=sys.stderr)
        for name, call in work.items():
            result = call()
            if each:
                found[name].append(result)
    return found


def _timed(call: Callable[[], None], calls: int) -> Callable[[], float]:
    """The processor time of one call, in milliseconds."""

    def measure() -> float:
        before = time.process_time()
        for _ in range(calls):
            call()
        return (time.process_time() - before) / calls * 1e3

    return measure


def _calls(url: str) -> dict[str, Callable[[], None]]:
    on, off = (
        create_app(read_settings(ENVIRONMENT | QUIET | {"DATABASE_URL": url, "PAGES": pages}))
        for pages in ("true", "false")
    )
    with on.app_context():
        flask_migrate.upgrade()
    client = browser(on)
    assert client.post(f"{API}/auth/register", json=ACCOUNT).status_code == 201
    pair = client.post(f"{API}/auth/login", json=CREDENTIALS).json
    client.post(f"{API}/auth/login?cookie=true", json=CREDENTIALS)
    cookie = {"Cookie": f"__Host-session={secret_of(client)}", "Accept": "text/html"}
    token = {"Authorization": f"Bearer {pair['access_token']}"}
    for name, app in (("on", on), ("off", off)):
        print(f"routes with pages {name}: {len(list(app.url_map.iter_rules()))}")
    return {
        "GET /account": asker(on, "/account", cookie),
        "GET /account/login": asker(on, "/account/login", {"Accept": "text/html"}),
        "GET /account/devices": asker(on, "/account/devices", cookie),
        "GET me, pages on": asker(on, f"{API}/users/me", token),
        "GET me, pages off": asker(off, f"{API}/users/me", token),
    }


def asker(app: Flask, path: str, headers: dict[str, str]) -> Callable[[], None]:
    """Calls the application as gunicorn does, without what Flask's test client adds."""
    builder = EnvironBuilder(path, base_url="http://localhost:8000", headers=headers)
    environ = builder.get_environ()

    def ask() -> None:
        status: list[str] = []
        answer = app.wsgi_app(dict(environ), lambda line, *_: status.append(line))
        b"".join(answer)
        answer.close()
        assert status[0].startswith("200"), (path, status)

    return ask


def _serve(folder: Path, url: str, pages: str, opened: int) -> tuple[float, float]:
    """The memory of a server that has answered some calls, and how long it took to start."""
    name = f"ada{time.monotonic_ns()}"
    variables = PRODUCT | {"DATABASE_URL": url, "PAGES": pages, "WEB_CONCURRENCY": "2"}
    begin = time.monotonic()
    with serving(folder / "gunicorn.log", **variables) as server:
        started_in = time.monotonic() - begin
        register(server, name)
        headers = {"Authorization": f"Bearer {log_in(server, name)['access_token']}"}
        # Each call has a connection of its own, so that both workers answer.
        for _ in range(100):
            requests.get(f"{server.api}/users/me", headers=headers, timeout=10).raise_for_status()
        for _ in range(opened):
            requests.get(f"{server.url}/account/login", timeout=10).raise_for_status()
        return memory_mebibytes(server), started_in


if __name__ == "__main__":
    main()
