"""Several gunicorn workers on one PostgreSQL: races, death, and the change of keys."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
import requests
from flask import Flask

from tests.conftest import ENVIRONMENT
from tests.factories import PASSWORD, bearer
from tests.servers import Server, environment_for, flask, serving

CLIENTS = 12
ROUNDS = 8

pytestmark = [pytest.mark.postgresql, pytest.mark.xdist_group("cluster")]


@pytest.fixture(scope="module")
def server(
    session_app: Flask, database_url: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    """Four workers, on the migrated database of this test process."""
    log = tmp_path_factory.mktemp("cluster") / "gunicorn.log"
    with serving(
        log,
        **ENVIRONMENT,
        DATABASE_URL=database_url,
        WEB_CONCURRENCY="4",
        WEB_THREADS="8",
        MAX_SESSIONS_PER_USER="5",
    ) as server:
        yield server


@pytest.fixture
def threads() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(CLIENTS) as pool:
        yield pool


def together(threads: ThreadPoolExecutor, *calls: Callable[[], requests.Response]) -> list[Any]:
    """Make the calls at the same moment, each from a thread of its own."""
    barrier = threading.Barrier(len(calls))

    def at_the_barrier(call: Callable[[], requests.Response]) -> requests.Response:
        barrier.wait()
        return call()

    answers = list(threads.map(at_the_barrier, calls))
    assert all(answer.status_code < 500 for answer in answers), [a.text for a in answers]
    return answers


class Person:
    """Somebody with an account, and what they ask the server."""

    def __init__(self, server: Server) -> None:
        self.api = server.api
        name = f"u{uuid4().hex[:20]}"
        self.email = f"{name}@example.com"
        self.name = name
        account = {"email": self.email, "username": name, "password": PASSWORD}
        requests.post(f"{self.api}/auth/register", json=account, timeout=30).raise_for_status()

    def log_in(self) -> requests.Response:
        credentials = {"username": self.name, "password": PASSWORD}
        return requests.post(f"{self.api}/auth/login", json=credentials, timeout=30)

    def refresh(self, token: str) -> requests.Response:
        return requests.post(f"{self.api}/auth/refresh", json={"refresh_token": token}, timeout=30)

    def log_out(self, access_token: str) -> requests.Response:
        return requests.post(f"{self.api}/auth/logout", headers=bearer(access_token), timeout=30)

    def me(self, access_token: str) -> requests.Response:
        return requests.get(f"{self.api}/users/me", headers=bearer(access_token), timeout=30)

    def sessions(self, access_token: str) -> list[dict[str, Any]]:
        answer = requests.get(f"{self.api}/auth/sessions", headers=bearer(access_token), timeout=30)
        items: list[dict[str, Any]] = answer.json()["items"]
        return items


def test_refreshes_that_race_with_one_token_get_one_successor(
    server: Server, threads: ThreadPoolExecutor
) -> None:
    person = Person(server)
    token = person.log_in().json()["refresh_token"]

    for _ in range(ROUNDS):
        answers = together(threads, *[lambda t=token: person.refresh(t)] * CLIENTS)

        assert {answer.status_code for answer in answers} == {200}
        (successor,) = {answer.json()["refresh_token"] for answer in answers}
        assert successor != token
        token = successor


def test_a_session_that_is_logged_out_while_it_refreshes_is_dead(
    server: Server, threads: ThreadPoolExecutor
) -> None:
    person = Person(server)

    for _ in range(ROUNDS):
        pair = person.log_in().json()
        calls = [lambda p=pair: person.refresh(p["refresh_token"])] * (CLIENTS - 1)
        answers = together(threads, lambda p=pair: person.log_out(p["access_token"]), *calls)

        assert answers[0].status_code == 204
        for answer in answers[1:]:
            assert answer.status_code in (200, 401)
            if answer.status_code == 200:
                assert person.me(answer.json()["access_token"]).status_code == 401
                assert person.refresh(answer.json()["refresh_token"]).status_code == 401


def test_a_session_whose_user_is_deactivated_while_it_refreshes_is_dead(
    server: Server, threads: ThreadPoolExecutor, session_app: Flask
) -> None:
    from app.administration import accounts

    person = Person(server)

    def set_active(is_active: bool) -> requests.Response:
        with session_app.app_context():
            accounts.set_active(person.email, is_active)
        done = requests.Response()
        done.status_code = 204
        return done

    for _ in range(ROUNDS):
        pair = person.log_in().json()
        calls = [lambda p=pair: person.refresh(p["refresh_token"])] * (CLIENTS - 2)
        answers = together(threads, lambda: set_active(False), person.log_in, *calls)
        set_active(True)

        for answer in answers[1:]:
            if answer.status_code == 200:
                assert person.me(answer.json()["access_token"]).status_code == 401
                assert person.refresh(answer.json()["refresh_token"]).status_code == 401


def test_logins_in_parallel_never_leave_more_sessions_than_the_cap(
    server: Server, threads: ThreadPoolExecutor
) -> None:
    person = Person(server)

    for _ in range(ROUNDS):
        answers = together(threads, *[person.log_in] * CLIENTS)

        assert {answer.status_code for answer in answers} == {200}
        newest = person.log_in().json()["access_token"]
        assert len(person.sessions(newest)) == 5


def test_a_session_that_many_delete_at_once_is_deleted_once(
    server: Server, threads: ThreadPoolExecutor
) -> None:
    person = Person(server)

    for _ in range(ROUNDS):
        access_token = person.log_in().json()["access_token"]
        person.log_in()
        (other, *_) = [s for s in person.sessions(access_token) if not s["is_current"]]
        url = f"{server.api}/auth/sessions/{other['id']}"
        deletion = [lambda u=url, a=access_token: requests.delete(u, headers=bearer(a), timeout=30)]
        answers = together(threads, *deletion * CLIENTS)

        assert sorted(answer.status_code for answer in answers) == [204] + [404] * (CLIENTS - 1)


def test_a_client_whose_worker_dies_before_the_answer_repeats_and_goes_on(
    session_app: Flask, database_url: str, tmp_path: Path
) -> None:
    variables = {**ENVIRONMENT, "DATABASE_URL": database_url, "WEB_CONCURRENCY": "2"}
    with serving(tmp_path / "gunicorn.log", application="tests.dying:app", **variables) as server:
        person = Person(server)
        pair = person.log_in().json()
        body = {"refresh_token": pair["refresh_token"]}
        with pytest.raises(requests.ConnectionError):
            requests.post(
                f"{server.api}/auth/refresh", json=body, headers={"X-Die": "yes"}, timeout=30
            )

        repeated = person.refresh(pair["refresh_token"])

        assert repeated.status_code == 200
        assert repeated.json()["refresh_token"] != pair["refresh_token"]
        assert person.refresh(repeated.json()["refresh_token"]).status_code == 200


def test_keys_change_in_a_running_cluster_without_losing_a_session(
    session_app: Flask, database_url: str, tmp_path: Path
) -> None:
    folder = tmp_path / "keys"
    # One name for all hosts: it is the issuer of their tokens.
    name = {"PUBLIC_URL": "http://localhost:8000"}
    base = {**ENVIRONMENT, **name, "DATABASE_URL": database_url, "WEB_CONCURRENCY": "1"}

    def make_key(key_id: str) -> None:
        command = ("keys", "generate", "--id", key_id, "--algorithm", "ES256")
        flask(*command, "--directory", str(folder), environment=environment_for(**base))

    def host(name: str, key_id: str) -> Any:
        return serving(
            tmp_path / f"{name}.log",
            **base,
            ALGORITHM="ES256",
            SIGNING_KEYS_DIR=str(folder),
            SIGNING_KEY_ID=key_id,
        )

    def works_on(server: Server, pair: dict[str, Any]) -> bool:
        return (
            requests.get(
                f"{server.api}/users/me", headers=bearer(pair["access_token"]), timeout=30
            ).status_code
            == 200
        )

    make_key("old")
    with host("one", "old") as one:
        person = Person(one)
        pair = person.log_in().json()

        make_key("new")
        with host("two", "new") as two:
            # The first host does not know the new key: it must be everywhere before it signs.
            assert works_on(two, pair)
            person.api = two.api
            assert not works_on(one, person.log_in().json())

    with host("one with both", "old") as one, host("two", "new") as two:
        person.api = two.api
        by_new = person.refresh(pair["refresh_token"]).json()
        assert works_on(one, by_new)
        assert works_on(two, pair)

    settings = {"ALGORITHM": "ES256", "SIGNING_KEYS_DIR": str(folder), "SIGNING_KEY_ID": "new"}
    flask("keys", "retire", "old", environment=environment_for(**base, **settings))
    assert not (folder / "old.pem").exists()
    with host("three", "new") as three:
        person.api = three.api
        assert works_on(three, pair), "signed by the retired key, and not expired"
        assert person.refresh(by_new["refresh_token"]).status_code == 200
        published = requests.get(f"{three.url}/.well-known/jwks.json", timeout=30)
        assert {key["kid"] for key in published.json()["keys"]} == {"old", "new"}
