"""Measures whether the time of an answer shows that an account exists.

    .venv/bin/python -m benchmarks.timing

It makes pairs of calls that must take the same time, interleaved and in random
order. They go to a real gunicorn with its own PostgreSQL database
(TEST_POSTGRES_URL), at the bcrypt cost of production. It prints the medians,
the p of Wilcoxon's signed-rank test (a small p means that the two differ), and
an interval that holds the median of the differences with 99 % confidence. An
attacker would have to see that many milliseconds through the network.
"""

import argparse
import math
import random
import re
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

import psycopg
import pyotp
import requests

from tests.conftest import SECRET_KEY, new_postgres_database
from tests.servers import environment_for, flask, serving

PASSWORD = "correct horse battery staple"
PRODUCTION_ROUNDS = "12"
RESAMPLES = 2000

Call = Callable[[], requests.Response]


@dataclass
class Pair:
    """Two calls whose times are compared, and their times in milliseconds."""

    name: str
    calls: tuple[Call, Call]
    status: int
    before_each: Callable[[], None]
    times: list[tuple[float, float]] = field(default_factory=list)

    def measure(self) -> None:
        taken = [0.0, 0.0]
        for which in random.sample((0, 1), 2):
            self.before_each()
            begun = time.perf_counter()
            response = self.calls[which]()
            taken[which] = (time.perf_counter() - begun) * 1000
            assert response.status_code == self.status, response.text
        self.times.append((taken[0], taken[1]))

    def report(self) -> str:
        first, second = zip(*self.times, strict=True)
        differences = [one - other for one, other in self.times]
        low, high = median_interval(differences)
        return (
            f"{self.name:44} {statistics.median(first):9.2f} {statistics.median(second):9.2f}"
            f"   {signed_rank_p(differences):7.4f}   {low:+7.3f} … {high:+.3f}"
        )


@dataclass
class Pages:
    """Forms of the pages, as a browser sends them."""

    http: requests.Session
    url: str

    def __post_init__(self) -> None:
        page = self.http.get(f"{self.url}/account/login", timeout=60)
        found = re.search(r'name="csrf_token" value="([^"]+)"', page.text)
        assert found, page.text
        self._token = found[1]
        # The cookie is Secure, so this client would send it over https alone.
        self._headers = {
            "Cookie": page.headers["Set-Cookie"].partition(";")[0],
            "Sec-Fetch-Site": "same-origin",
        }

    def send(self, page: str, fields: Callable[[], dict[str, Any]]) -> Call:
        path = f"{self.url}/account/{page}"
        return lambda: self.http.post(
            path,
            data={**fields(), "csrf_token": self._token},
            headers=self._headers,
            allow_redirects=False,
            timeout=60,
        )


def signed_rank_p(differences: Sequence[float]) -> float:
    """Wilcoxon's signed-rank test, two-sided, by the normal approximation."""
    ranked = sorted((difference for difference in differences if difference), key=abs)
    number = len(ranked)
    if not number:
        return 1.0
    positive = sum(rank for rank, difference in enumerate(ranked, 1) if difference > 0)
    mean = number * (number + 1) / 4
    deviation = math.sqrt(number * (number + 1) * (2 * number + 1) / 24)
    return math.erfc(abs(positive - mean) / deviation / math.sqrt(2))


def median_interval(differences: Sequence[float], confidence: float = 0.99) -> tuple[float, float]:
    """The interval of the median, by the bootstrap."""
    medians = sorted(
        statistics.median(random.choices(differences, k=len(differences))) for _ in range(RESAMPLES)
    )
    cut = int(RESAMPLES * (1 - confidence) / 2)
    return medians[cut], medians[-1 - cut]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--pairs", type=int, default=300)
    parser.add_argument("--only", default="", help="the pairs whose name has these words")
    given = parser.parse_args()

    with ExitStack() as stack:
        pairs = [pair for pair in _start(stack) if given.only in pair.name]
        for pair in pairs:
            for _ in range(5):
                pair.measure()
            pair.times.clear()
        for number in range(given.pairs):
            if number % 25 == 0:
                print(f"pair {number + 1} of {given.pairs} …", file=sys.stderr)
            for pair in pairs:
                pair.measure()

    print(f"{given.pairs} pairs each, in milliseconds")
    print(f"{'':44} {'first':>9} {'second':>9}   {'p':>7}   99 % of the difference")
    for pair in pairs:
        print(pair.report())


def _start(stack: ExitStack) -> list[Pair]:
    folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
    variables = {
        "DATABASE_URL": stack.enter_context(new_postgres_database()),
        "SECRET_KEY": SECRET_KEY,
        "APP_ENV": "testing",
        "BCRYPT_ROUNDS": PRODUCTION_ROUNDS,
        "HIDE_ACCOUNT_EXISTENCE": "true",
        "MAIL_URL": f"file://{folder / 'mail'}",
    }
    many = ("LOGIN", "LOGIN_FAILURES", "REGISTER", "MAIL", "MAIL_PER_ADDRESS", "TOKEN")
    variables |= {f"RATELIMIT_{name}": "1000000 per hour" for name in many}
    environment = environment_for(**variables)
    flask("db", "upgrade", environment=environment)
    # An operator makes Ada's account, so her address is verified. Others have yet to do that.
    flask(
        *("users", "create", "--email", "ada@example.com", "--username", "ada"),
        "--password-stdin",
        environment=environment,
        stdin=PASSWORD,
    )
    server = stack.enter_context(serving(folder / "log", **variables))
    http = stack.enter_context(requests.Session())
    fresh = count()

    def post(path: str, body: Callable[[], dict[str, Any]]) -> Call:
        return lambda: http.post(f"{server.api}/auth/{path}", json=body(), timeout=60)

    def account(email: str) -> dict[str, Any]:
        return {"email": email, "username": f"user{next(fresh)}", "password": PASSWORD}

    http.post(f"{server.api}/auth/register", json=account("bob@example.com"), timeout=60)
    cat = {"email": "cat@example.com", "username": "cat", "password": PASSWORD}
    http.post(f"{server.api}/auth/register", json=cat, timeout=60)
    _set_up_factor(http, server.api, "cat")

    def log_in(username: str) -> Call:
        return post("login", lambda: {"username": username, "password": "a wrong one"})

    def with_code(username: str) -> Call:
        wrong = {"username": username, "password": "a wrong one", "otp": "000000"}
        return post("login", lambda: wrong)

    def forget(name: str) -> Call:
        return post("password/forgot", lambda: {"email": f"{name}@example.com"})

    def resend(name: str) -> Call:
        return post("email/resend", lambda: {"email": f"{name}@example.com"})

    def register(emails: Iterator[str]) -> Call:
        return post("register", lambda: account(next(emails)))

    pages = Pages(http, server.url)

    def log_in_page(username: str) -> Call:
        return pages.send("login", lambda: {"username": username, "password": "a wrong one"})

    def forget_page(name: str) -> Call:
        return pages.send("forgot", lambda: {"email": f"{name}@example.com"})

    def resend_page(name: str) -> Call:
        return pages.send("verify-email/new-link", lambda: {"email": f"{name}@example.com"})

    def register_page(emails: Iterator[str]) -> Call:
        return pages.send("register", lambda: account(next(emails)))

    database = stack.enter_context(psycopg.connect(variables["DATABASE_URL"], autocommit=True))

    def forget_failures() -> None:
        """The throttle is on, and its statements are part of what is measured."""
        database.execute("DELETE FROM login_throttles")

    new = (f"new{number}@example.com" for number in count())
    taken = ("ada@example.com" for _ in count())
    return [
        Pair(name, calls, status, forget_failures)
        for name, calls, status in (
            ("log in: nobody, wrong password", (log_in("nobody"), log_in("ada")), 401),
            # A right password with a factor takes longer: its answer tells more anyway.
            ("log in: nobody, wrong password and factor", (log_in("nobody"), log_in("cat")), 401),
            ("log in: the same, and a code", (with_code("nobody"), with_code("cat")), 401),
            ("forgot: nobody, somebody", (forget("nobody"), forget("ada")), 202),
            ("resend: nobody, unverified", (resend("nobody"), resend("bob")), 202),
            ("resend: verified, unverified", (resend("ada"), resend("bob")), 202),
            ("resend: nobody, verified", (resend("nobody"), resend("ada")), 202),
            ("register in hiding: new, taken", (register(new), register(taken)), 202),
            (
                "page, log in: nobody, wrong",
                (log_in_page("nobody"), log_in_page("ada")),
                422,
            ),
            ("page, forgot: nobody, somebody", (forget_page("nobody"), forget_page("ada")), 303),
            ("page, resend: nobody, unverified", (resend_page("nobody"), resend_page("bob")), 303),
            ("page, register in hiding", (register_page(new), register_page(taken)), 303),
        )
    ]


def _set_up_factor(http: requests.Session, api: str, username: str) -> None:
    """Let somebody set up an authenticator app."""
    login = {"username": username, "password": PASSWORD}
    pair = http.post(f"{api}/auth/login", json=login, timeout=60).json()
    headers = {"Authorization": f"Bearer {pair['access_token']}"}
    made = http.post(f"{api}/auth/factors/totp", headers=headers, timeout=60).json()
    otp = {"otp": pyotp.TOTP(made["secret"]).now()}
    path = f"{api}/auth/factors/totp/confirm"
    http.post(path, json=otp, headers=headers, timeout=60).raise_for_status()


if __name__ == "__main__":
    main()
