"""SIGHUP, with settings that changed."""

import logging
import runpy
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import pytest
import requests

from app import read_settings
from app.features import Feature
from app.serving.reloading import Serving
from config import Settings
from configuration.table import variable
from configuration.values import integer
from tests.checkouts import new_checkout
from tests.conftest import ENVIRONMENT
from tests.servers import ROOT, Server, serving
from tests.serving.test_serving import new_database, workers
from tests.waiting import until

SHORT = {"email": "bob@example.com", "username": "bob", "password": "0123456789"}


@contextmanager
def new_server(folder: Path) -> Iterator[tuple[Server, Path]]:
    """A server in a checkout of its own, and its ``.env``."""
    checkout = folder / "checkout"
    checkout.mkdir()
    env = new_checkout(checkout) / ".env"
    env.write_text("WEB_CONCURRENCY=1\n")
    with (
        new_database("sqlite", folder) as url,
        serving(folder / "log", folder=checkout, **ENVIRONMENT, DATABASE_URL=url) as server,
    ):
        yield server, env


def reload(server: Server, number: int = 1) -> None:
    """Send SIGHUP and wait until other workers serve."""
    old = workers(server)
    server.process.send_signal(signal.SIGHUP)
    until(lambda: len(workers(server)) == number and not workers(server) & old)


def metrics(server: Server) -> int:
    return requests.get(f"{server.url}/metrics", timeout=20).status_code


def test_settings_that_cannot_be_read_change_nothing_and_are_named(tmp_path: Path) -> None:
    with new_server(tmp_path) as (server, env):
        for content, named in (
            ("METRICS_TOKEN=0123456789abcdef\nWEB_THREADS=many\n", "WEB_THREADS is 'many'"),
            ("METRICS_TOKEN=0123456789abcdef\nA='b\n", f"{env}, line 2: "),
            ("METRICS_TOKEN=0123456789abcdef\nDATABASE_REPLICA_URL=x\n", "DATABASE_REPLICA_URL "),
            ("METRICS_TOKEN=0123456789abcdef\nALGORITHM=ES256\n", "SIGNING_KEYS_DIR is not set"),
        ):
            env.write_text(content)

            reload(server)

            assert server.process.poll() is None
            assert metrics(server) == 200
            assert f"the old settings stay: {named}" in server.log.read_text()
        assert "Traceback" not in server.log.read_text()


def test_settings_that_can_be_read_apply_to_all(tmp_path: Path) -> None:
    with new_server(tmp_path) as (server, env):
        env.write_text(
            "WEB_CONCURRENCY=2\nMETRICS_TOKEN=0123456789abcdef\nPASSWORD_MIN_LENGTH=11\n"
            "HASH_QUEUE_LIMIT=0\nWEB_THREADS=3\n"
        )

        reload(server, 2)

        assert metrics(server) == 401
        refused = requests.post(f"{server.api}/auth/register", json=SHORT, timeout=20)
        assert [error["code"] for error in refused.json()["errors"]] == ["password_too_short"]

        env.write_text("WEB_CONCURRENCY=1\n")
        reload(server)
        assert metrics(server) == 200
        taken = requests.post(f"{server.api}/auth/register", json=SHORT, timeout=20)
        assert taken.status_code == 201


@dataclass(frozen=True, kw_only=True)
class AcmeSettings:
    shelves: int = variable("ACME_SHELVES", "3", integer(1, 9))


def test_the_settings_of_features_are_read_too(monkeypatch: pytest.MonkeyPatch) -> None:
    offering = ModuleType("offering")
    offering.FEATURE = Feature(name="acme", settings=AcmeSettings)  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "offering", offering)
    for name, value in (ENVIRONMENT | {"FEATURES": "offering", "ACME_SHELVES": "4"}).items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr("app.serving.reloading.serving", Serving())

    configuration = runpy.run_path(str(ROOT / "gunicorn.conf.py"))

    assert configuration["settings"].of(AcmeSettings).shelves == 4


def test_where_it_listens_changes_at_a_restart_and_that_is_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    def settings(**variables: str) -> Settings:
        return read_settings(variables, instance=tmp_path)

    server = Serving()
    at_the_start = settings(PORT="8123")
    assert server.listen_at(at_the_start) == "127.0.0.1:8123"
    caplog.set_level(logging.INFO)

    server.tell_what_waits(at_the_start, settings(PORT="8123", WEB_THREADS="3"))
    assert caplog.text == ""
    server.tell_what_waits(at_the_start, settings(PORT="8124"))
    assert "PORT changed" in caplog.text
    assert "127.0.0.1:8123" in caplog.text
    assert server.listen_at(settings(PORT="8124")) == "127.0.0.1:8123"
