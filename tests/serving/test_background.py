"""Work beside the requests: who does it, and that it goes on."""

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import flask_migrate
import pytest
from flask import Flask

import app as application
from app import create_app, read_settings
from app.audit import sealer, sealing
from app.extensions import db
from app.mail import deliverer, delivery, transport
from app.observability import attempts, metrics
from app.serving import background
from tests.conftest import ENVIRONMENT
from tests.mail.letters import queue, rows
from tests.waiting import until


@pytest.fixture
def stopping() -> Iterator[list[background.Stop]]:
    """What is stopped at the end of the test."""
    works: list[background.Stop] = []
    yield works
    for stop in works:
        stop.set()
    for stop in works:
        stop.wait_for_end(10)
        assert not stop.thread.is_alive()


@pytest.fixture(autouse=True)
def in_a_hurry(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(background, "RESTART_SECONDS", 0.01)
    monkeypatch.setattr(background, "LOOK_SECONDS", 0.01)
    monkeypatch.setattr(deliverer, "IDLE_SECONDS", 0.01)
    monkeypatch.setattr(sealer, "IDLE_SECONDS", 0.01)
    monkeypatch.setattr(background.tempfile, "gettempdir", lambda: str(tmp_path))


def failures(work: str) -> float:
    return metrics.BACKGROUND_WORK_FAILURES.labels(work)._value.get()


def running(work: str) -> float:
    return metrics.BACKGROUND_WORK_RUNNING.labels(work)._value.get()


# It goes on


class Trouble:
    """Ends application contexts of this app with an error, so many times."""

    def __init__(self, app: Flask) -> None:
        self.left = 0
        app.teardown_appcontext(self.strike)

    def strike(self, _error: BaseException | None) -> None:
        if self.left > 0 and threading.current_thread() is not threading.main_thread():
            self.left -= 1
            raise RuntimeError("the end of the context fails")


@pytest.fixture
def other(make_app: Callable[..., Flask], tmp_path: Path) -> Flask:
    return make_app(MAIL_URL=f"file://{tmp_path / 'letters'}")


def test_the_deliverer_survives_an_error_at_the_end_of_a_context(
    other: Flask, stopping: list[background.Stop]
) -> None:
    trouble = Trouble(other)
    before = failures("outbox")
    stopping.append(background.start_job(other, deliverer.NAME))
    until(lambda: running("outbox"))

    trouble.left = 7
    until(lambda: not trouble.left)
    queue(other)

    until(lambda: rows(other)[0].state == "delivered")
    assert failures("outbox") - before == 7


def test_an_error_at_the_end_of_a_context_does_not_end_the_work_that_goes_on() -> None:
    app = Flask("fails")

    @app.teardown_appcontext
    def strike(_error: BaseException | None) -> None:
        raise RuntimeError("the end of the context fails")

    before = failures("outbox")

    assert attempts.attempt(app, "outbox", int) is None
    assert failures("outbox") - before == 1


def test_the_sealer_survives_an_error_at_the_end_of_a_context(
    other: Flask, stopping: list[background.Stop]
) -> None:
    trouble = Trouble(other)
    before = failures("sealer")
    stopping.append(background.start_job(other, sealer.NAME))
    until(lambda: running("sealer"))

    trouble.left = 7

    until(lambda: failures("sealer") - before == 7)
    assert stopping[0].thread.is_alive()
    assert running("sealer") == 1


@pytest.mark.parametrize("error", [RuntimeError("odd"), MemoryError(), SystemExit(3)])
def test_a_delivery_that_ends_oddly_ends_no_deliverer(
    other: Flask,
    stopping: list[background.Stop],
    monkeypatch: pytest.MonkeyPatch,
    error: BaseException,
) -> None:
    really_send = transport.send
    odd = [error]

    def send(*arguments: Any, **options: Any) -> None:
        if odd:
            raise odd.pop()
        really_send(*arguments, **options)

    monkeypatch.setattr(transport, "send", send)
    queue(other)
    stopping.append(background.start_job(other, deliverer.NAME))
    until(lambda: not odd)
    queue(other, to="bob@example.com")

    until(lambda: rows(other)[1].state == "delivered")


@pytest.mark.parametrize(
    ("work", "module", "part"),
    [(deliverer, delivery, "claim"), (sealer, sealing, "seal")],
    ids=["outbox", "sealer"],
)
@pytest.mark.parametrize("error", [RuntimeError("odd"), SystemExit(3)])
def test_work_that_fails_is_counted_and_goes_on(
    other: Flask,
    stopping: list[background.Stop],
    monkeypatch: pytest.MonkeyPatch,
    work: Any,
    module: Any,
    part: str,
    error: BaseException,
) -> None:
    really, calls = getattr(module, part), []

    def fail_thrice(*arguments: Any, **options: Any) -> Any:
        calls.append(1)
        if len(calls) <= 3:
            raise error
        return really(*arguments, **options)

    monkeypatch.setattr(module, part, fail_thrice)
    before = failures(work.NAME)

    stopping.append(background.start_job(other, work.NAME))
    until(lambda: len(calls) > 5)

    assert failures(work.NAME) - before == 3
    assert stopping[0].thread.is_alive()


def test_a_deliverer_that_cannot_make_a_thread_gives_the_mail_back(
    other: Flask, stopping: list[background.Stop], monkeypatch: pytest.MonkeyPatch
) -> None:
    really_start, tried = deliverer._Delivery.start, []

    def start(delivery: threading.Thread) -> None:
        tried.append(1)
        if len(tried) == 1:
            raise RuntimeError("can't start new thread")
        really_start(delivery)  # type: ignore[arg-type]

    monkeypatch.setattr(deliverer._Delivery, "start", start)
    queue(other)

    stopping.append(background.start_job(other, deliverer.NAME))

    until(lambda: rows(other)[0].state == "delivered")
    assert rows(other)[0].attempts == 1


def test_work_begins_once_its_folder_can_be_used(
    other: Flask,
    stopping: list[background.Stop],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    folder = tmp_path / "not-yet"
    monkeypatch.setattr(background.tempfile, "gettempdir", lambda: str(folder))
    before = failures("sealer")
    stopping.append(background.start_job(other, sealer.NAME))
    until(lambda: failures("sealer") > before)

    folder.mkdir()

    until(lambda: running("sealer"))


def test_work_is_not_running_where_it_was_stopped(other: Flask) -> None:
    stop = background.start_job(other, sealer.NAME)
    until(lambda: running("sealer"))

    stop.set()
    stop.wait_for_end(10)

    assert running("sealer") == 0


# Who does it


def lock_of(app: Flask) -> Path:
    return background._lock_file(app, "outbox")


@pytest.fixture
def checkout(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Callable[..., Flask]]:
    """An application in a checkout of its own."""
    made = []

    def app(name: str, database_url: str) -> Flask:
        folder = tmp_path / name
        folder.mkdir(exist_ok=True)
        monkeypatch.setattr(application, "INSTANCE", folder)
        variables = ENVIRONMENT | {"DATABASE_URL": database_url}
        made.append(create_app(read_settings(variables, instance=folder)))
        return made[-1]

    yield app
    for one in made:
        with one.app_context():
            db.engine.dispose()


def test_two_checkouts_with_the_same_relative_path_work_side_by_side(
    checkout: Callable[..., Flask],
) -> None:
    one, other = (checkout(name, "sqlite:///app.db") for name in ("one", "other"))

    assert lock_of(one) != lock_of(other)


def test_two_paths_to_one_file_share_the_lock(
    checkout: Callable[..., Flask], tmp_path: Path
) -> None:
    relative = checkout("one", "sqlite:///app.db")
    (tmp_path / "link").symlink_to(tmp_path / "one")

    absolute = checkout("other", f"sqlite:///{tmp_path / 'one' / 'app.db'}")
    by_link = checkout("other", f"sqlite:///{tmp_path / 'link' / 'app.db'}")
    roundabout = checkout("other", f"sqlite:///{tmp_path / 'other' / '..' / 'one' / 'app.db'}")

    assert {lock_of(app) for app in (absolute, by_link, roundabout)} == {lock_of(relative)}


def test_both_checkouts_deliver_their_own_mail(
    checkout: Callable[..., Flask], stopping: list[background.Stop], tmp_path: Path
) -> None:
    apps = [checkout(name, "sqlite:///app.db") for name in ("one", "other")]
    for app in apps:
        with app.app_context():
            flask_migrate.upgrade()
        queue(app)

    stopping += [background.start_job(app, deliverer.NAME) for app in apps]

    until(lambda: [rows(app)[0].state for app in apps] == ["delivered"] * 2)


def test_of_two_databases_on_one_server_each_has_its_own_lock(
    checkout: Callable[..., Flask],
) -> None:
    one, other = (checkout("one", f"postgresql://ada@db.example.com/{name}") for name in ("a", "b"))

    assert lock_of(one) != lock_of(other)


def test_the_next_one_takes_over(other: Flask, stopping: list[background.Stop]) -> None:
    begun: list[threading.Event] = []

    def work(_app: Flask, stop: threading.Event) -> None:
        begun.append(stop)
        stop.wait()

    stopping += [background.start(other, "trial", work) for _ in range(2)]
    until(lambda: begun)
    time.sleep(0.1)
    alone = list(begun)

    alone[0].set()

    until(lambda: len(begun) == 2)
    assert len(alone) == 1
    assert set(begun) == set(stopping)
