"""Measures the processor time of one WSGI call, without a server around it.

    .venv/bin/python -m benchmarks.hot_path

It calls the product, the hand-made ceiling and a bare Flask route in one
process and one thread, in interleaved rounds. It prints the median of the
processor time of each call, in microseconds. With ``--profile`` it prints
which functions take the time instead.
"""

import argparse
import cProfile
import io
import json
import os
import pstats
import statistics
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from itertools import cycle
from typing import Any

import flask_migrate

from tests.conftest import SECRET_KEY, new_postgres_database

PASSWORD = "password123"
# ``GET me`` sends 1,000 different tokens in turn: those of 50 users with 20 sessions each.
READERS, SESSIONS = 50, 20
API = "/api/v1"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--calls", type=int, default=300, help="of each kind in a round")
    parser.add_argument("--sqlite", help="a file to use in place of PostgreSQL")
    parser.add_argument("--profile", help="the call to profile, like 'GET me'")
    given = parser.parse_args()

    with ExitStack() as stack:
        url = f"sqlite:///{given.sqlite}" if given.sqlite else ""
        os.environ |= {
            "APP_ENV": "testing",
            "SECRET_KEY": SECRET_KEY,
            "BCRYPT_ROUNDS": "4",
            "RATELIMIT_ENABLED": "false",
            "LOG_FORMAT": "json",
            "LOG_LEVEL": "WARNING",
            "DATABASE_URL": url or stack.enter_context(new_postgres_database()),
        }
        calls = _calls(with_ceiling=not url)
        if given.profile:
            _profile(calls[given.profile])
            return
        times: dict[str, list[float]] = {name: [] for name in calls}
        for number in range(given.rounds + 1):
            print(f"round {number} of {given.rounds} …", file=sys.stderr)
            for name, call in calls.items():
                spent = _time(call, given.calls)
                if number:
                    times[name].append(spent)

    print(f"{given.rounds} rounds of {given.calls} calls; medians, least")
    for name, spent_each in times.items():
        print(f"{name:24} {statistics.median(spent_each):6.0f} µs {min(spent_each):6.0f} µs")


def _time(call: Callable[[], Any], calls: int) -> float:
    before = time.process_time()
    for _ in range(calls):
        call()
    return (time.process_time() - before) / calls * 1e6


def _profile(call: Callable[[], Any]) -> None:
    for _ in range(200):
        call()
    profile = cProfile.Profile()
    profile.enable()
    for _ in range(1000):
        call()
    profile.disable()
    pstats.Stats(profile).sort_stats("cumulative").print_stats(90)


def _calls(*, with_ceiling: bool) -> dict[str, Callable[[], Any]]:
    from benchmarks.bare import app as bare
    from wsgi import app as product

    with product.app_context():
        flask_migrate.upgrade()
    ask = _asker(product)
    # Bob logs in again and again, and each login ends an older session of his.
    readers = [f"reader{number}" for number in range(READERS)]
    for name in ("ada", "bob", *readers):
        account = {"email": f"{name}@example.com", "username": name, "password": PASSWORD}
        ask("POST", f"{API}/auth/register", account, expect=201)

    def log_in(name: str) -> dict[str, Any]:
        credentials = {"username": name, "password": PASSWORD}
        return ask("POST", f"{API}/auth/login", credentials, expect=200)

    tokens = [log_in(name)["access_token"] for name in readers * SESSIONS]
    keys = [_key_of(ask, token) for token in tokens[:READERS]]
    calls = {
        "bare": lambda: _asker(bare)("GET", "/", expect=200),
        "GET me": _get(product, tokens),
        "GET me with an API key": _get(product, keys),
        "POST refresh": _refresher(product, log_in("ada")),
        "POST login": lambda: log_in("bob"),
    }
    if with_ceiling:
        from benchmarks.ceiling import app as ceiling

        calls["ceiling: GET me"] = _get(ceiling, tokens)
        calls["ceiling: POST refresh"] = _refresher(ceiling, log_in("ada"))
    return calls


def _key_of(ask: Callable[..., Any], token: str) -> str:
    given = {"name": "benchmark", "scopes": ["profile"]}
    made: dict[str, str] = ask("POST", f"{API}/auth/keys", given, token=token, expect=201)
    return made["key"]


def _get(app: Any, tokens: list[str]) -> Callable[[], Any]:
    ask, in_turn = _asker(app), cycle(tokens)
    return lambda: ask("GET", f"{API}/users/me", token=next(in_turn), expect=200)


def _refresher(app: Any, pair: dict[str, Any]) -> Callable[[], Any]:
    ask = _asker(app)
    held = {"refresh_token": pair["refresh_token"]}

    def refresh() -> None:
        answer = ask("POST", f"{API}/auth/refresh", held, expect=200)
        held["refresh_token"] = answer["refresh_token"]

    return refresh


def _asker(app: Any) -> Callable[..., Any]:
    """Calls the application as gunicorn does, without what Flask's test client adds."""

    def ask(
        method: str, path: str, body: Any = None, *, token: str | None = None, expect: int
    ) -> Any:
        sent = json.dumps(body).encode() if body is not None else b""
        environ = {
            "REQUEST_METHOD": method,
            "SCRIPT_NAME": "",
            "PATH_INFO": path,
            "QUERY_STRING": "",
            "SERVER_NAME": "localhost",
            "SERVER_PORT": "8000",
            "SERVER_PROTOCOL": "HTTP/1.1",
            "REMOTE_ADDR": "127.0.0.1",
            "HTTP_HOST": "localhost:8000",
            "HTTP_USER_AGENT": "benchmark",
            "wsgi.url_scheme": "http",
            "wsgi.input": io.BytesIO(sent),
            "wsgi.errors": sys.stderr,
            "wsgi.version": (1, 0),
            "wsgi.multithread": True,
            "wsgi.multiprocess": True,
            "wsgi.run_once": False,
        }
        if body is not None:
            environ |= {"CONTENT_TYPE": "application/json", "CONTENT_LENGTH": str(len(sent))}
        if token is not None:
            environ["HTTP_AUTHORIZATION"] = f"Bearer {token}"
        status: list[str] = []
        answer = app.wsgi_app(environ, lambda line, _headers, _info=None: status.append(line))
        text = b"".join(answer)
        answer.close()
        assert status[0].startswith(str(expect)), (status, text)
        return json.loads(text) if method == "POST" else None

    return ask


if __name__ == "__main__":
    main()
