"""Twenty clients at several gunicorn workers at once: each proof works exactly once."""

import os
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import uuid4

import pyotp
import pytest
import requests
from flask import Flask

from app.auth.mfa.second_step import OTP_GRANT
from tests.auth.passkeys.authenticator import Authenticator
from tests.conftest import ENVIRONMENT
from tests.factories import PASSWORD, bearer
from tests.servers import Server, serving

CLIENTS = 20
# `make fuzz` asks for the long budget.
ROUNDS = 25 if os.environ.get("HYPOTHESIS_PROFILE") == "long" else 2
SECONDS = 30
WRONG = (403, "wrong_factor")
DEAD = (400, "mfa_ticket_invalid")

Call = Callable[[], requests.Response]

pytestmark = [
    pytest.mark.xdist_group("cluster"),
    # It leaves an empty database behind.
    pytest.mark.usefixtures("app"),
]


@pytest.fixture(autouse=True)
def clock() -> None:
    """The clock goes on here, as the servers' does."""


@pytest.fixture(scope="module")
def server(
    session_app: Flask, database_url: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    """Four workers. SQLite has one writer at a time, so two workers show the same there."""
    log = tmp_path_factory.mktemp("factors") / "gunicorn.log"
    workers = "2" if database_url.startswith("sqlite") else "4"
    with serving(
        log,
        **ENVIRONMENT,
        # One name for all: it is the domain of the passkeys.
        PUBLIC_URL="http://localhost:8000",
        DATABASE_URL=database_url,
        WEB_CONCURRENCY=workers,
        WEB_THREADS="8",
        HASH_QUEUE_LIMIT="200",
    ) as server:
        yield server


@pytest.fixture(scope="module")
def threads() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(CLIENTS) as pool:
        yield pool


def together(threads: ThreadPoolExecutor, *calls: Call) -> list[requests.Response]:
    """Make the calls at the same moment, each from a thread of its own."""
    barrier = threading.Barrier(len(calls))

    def at_the_barrier(call: Call) -> requests.Response:
        barrier.wait()
        return call()

    answers = list(threads.map(at_the_barrier, calls))
    assert all(answer.status_code < 500 for answer in answers), [a.text for a in answers]
    return answers


def results(answers: list[requests.Response]) -> Counter[Any]:
    """How often each answer was given: 200, or the status and the code of a refusal."""
    return Counter(
        200 if answer.status_code == 200 else (answer.status_code, answer.json()["code"])
        for answer in answers
    )


class Person:
    """Somebody with a second factor, and what they send to the server."""

    def __init__(self, server: Server) -> None:
        self.api = server.api
        self.name = f"u{uuid4().hex[:20]}"
        account = {
            "email": f"{self.name}@example.com",
            "username": self.name,
            "password": PASSWORD,
        }
        self.post("register", **account).raise_for_status()
        self.token: str = self.log_in().json()["access_token"]

    def post(self, path: str, token: str | None = None, **body: Any) -> requests.Response:
        headers = bearer(token) if token else {}
        url = f"{self.api}/auth/{path}"
        # A call with a token may have no body at all.
        sent = body if body or token is None else None
        return requests.post(url, json=sent, headers=headers, timeout=60)

    def ask_for_token(self, grant_type: str, **form: str) -> requests.Response:
        data = {"grant_type": grant_type, **form}
        return requests.post(f"{self.api}/auth/token", data=data, timeout=60)

    def log_in(self, **beside: Any) -> requests.Response:
        return self.post("login", username=self.name, password=PASSWORD, **beside)

    def ticket(self) -> str:
        answer = self.log_in()
        assert answer.status_code == 403, answer.text
        ticket: str = answer.json()["mfa_token"]
        return ticket

    def go_on(self, ticket: str, **proof: Any) -> requests.Response:
        return self.post("mfa", mfa_token=ticket, **proof)

    def set_up_app(self) -> None:
        """The code that confirms is that of the step before, so the one of now still works."""
        secret = self.post("factors/totp", self.token).json()["secret"]
        self.app = pyotp.TOTP(secret)
        for _ in range(3):
            # A step may end on the way to the server. Then the code is that of another step.
            early = self.app.at(int(time.time()) - SECONDS)
            confirmed = self.post("factors/totp/confirm", self.token, otp=early)
            if confirmed.status_code == 200:
                break
        assert confirmed.status_code == 200, confirmed.text
        self.codes: list[str] = confirmed.json()["recovery_codes"]

    def code(self) -> str:
        """The code of now. It works in the next step too."""
        return self.app.at(int(time.time()))

    def add_passkey(self, authenticator: Authenticator) -> None:
        begun = self.post("passkeys/options", self.token).json()
        credential = authenticator.create(begun["options"])
        added = self.post("passkeys", self.token, ceremony=begun["ceremony"], credential=credential)
        assert added.status_code == 201, added.text


@pytest.fixture
def person(server: Server) -> Person:
    person = Person(server)
    person.set_up_app()
    return person


@pytest.mark.parametrize("number", range(ROUNDS))
def test_one_code_opens_one_door(server: Server, threads: ThreadPoolExecutor, number: int) -> None:
    """At the login, with a ticket, by both grants of OAuth, and at a session that is there."""
    person = Person(server)
    person.set_up_app()
    tickets = [person.ticket() for _ in range(8)]
    code = person.code()
    password = {"username": person.name, "password": PASSWORD, "otp": code}
    calls: list[Call] = [
        *[lambda: person.log_in(otp=code)] * 4,
        *[lambda t=t: person.go_on(t, otp=code) for t in tickets[:4]],
        *[lambda: person.ask_for_token("password", **password)] * 4,
        *[lambda t=t: person.ask_for_token(OTP_GRANT, mfa_token=t, otp=code) for t in tickets[4:]],
        *[lambda: person.post("reauthenticate", person.token, otp=code)] * 4,
    ]

    answers = together(threads, *calls)

    assert results(answers) == {200: 1, WRONG: CLIENTS - 1}


def test_one_recovery_code_opens_one_door(person: Person, threads: ThreadPoolExecutor) -> None:
    for code in person.codes[: min(ROUNDS, 10)]:
        tickets = [person.ticket() for _ in range(5)]
        calls: list[Call] = [
            *[lambda c=code: person.log_in(recovery_code=c)] * 10,
            *[lambda t=t, c=code: person.go_on(t, recovery_code=c) for t in tickets],
            *[lambda c=code: person.post("reauthenticate", person.token, recovery_code=c)] * 5,
        ]

        answers = together(threads, *calls)

        assert results(answers) == {200: 1, WRONG: CLIENTS - 1}


def test_one_ticket_opens_one_door(person: Person, threads: ThreadPoolExecutor) -> None:
    """Each of the calls has a right code of its own, and the ticket has five tries."""
    for _ in range(ROUNDS):
        made = person.post("factors/recovery-codes", person.token)
        codes = made.json()["recovery_codes"] * 2
        ticket = person.ticket()

        calls = [lambda t=ticket, c=c: person.go_on(t, recovery_code=c) for c in codes]
        answers = together(threads, *calls)

        assert results(answers) == {200: 1, DEAD: CLIENTS - 1}
        left = requests.get(
            f"{person.api}/auth/factors", headers=bearer(person.token), timeout=60
        ).json()["recovery_codes"]["left"]
        assert left == 9, "only the code of the one that succeeded is used up"


def test_a_ticket_has_five_tries_for_all_guesses_at_once(
    person: Person, threads: ThreadPoolExecutor
) -> None:
    for _ in range(ROUNDS):
        ticket = person.ticket()

        calls = [lambda t=ticket: person.go_on(t, recovery_code="0" * 16)] * CLIENTS
        answers = together(threads, *calls)

        assert results(answers) == {WRONG: 5, DEAD: CLIENTS - 5}


@pytest.mark.parametrize("counts", [True, False], ids=["counting", "not counting"])
def test_one_ceremony_opens_one_door(
    person: Person, threads: ThreadPoolExecutor, counts: bool
) -> None:
    authenticator = Authenticator(counts=counts)
    person.add_passkey(authenticator)
    for _ in range(ROUNDS):
        begun = person.post("passkeys/login-options").json()
        body = {
            "ceremony": begun["ceremony"],
            "credential": authenticator.get(begun["options"]),
        }

        answers = together(threads, *[lambda b=body: person.post("passkeys/login", **b)] * CLIENTS)

        assert results(answers) == {200: 1, (400, "ceremony_invalid"): CLIENTS - 1}


def test_one_device_token_is_replaced_once(person: Person, threads: ThreadPoolExecutor) -> None:
    """All get the same successor, because an answer may be lost."""
    pair = person.go_on(person.ticket(), otp=person.code(), remember_device=True).json()
    token = pair["device_token"]
    for _ in range(ROUNDS):
        calls = [lambda t=token: person.log_in(device_token=t)] * CLIENTS
        answers = together(threads, *calls)

        assert results(answers) == {200: CLIENTS}
        pair = answers[0].json()
        (successor,) = {answer.json()["device_token"] for answer in answers}
        assert successor != token
        token = successor
    devices = requests.get(
        f"{person.api}/auth/remembered-devices", headers=bearer(pair["access_token"]), timeout=60
    ).json()["items"]
    assert len(devices) == 1
