"""Calls to a provider that is slow: they hold up nobody else."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any
from unittest.mock import patch

import pytest
from flask import Flask

from app.auth.providers import calls
from app.auth.providers.errors import ProviderAway
from app.security.outbound.fetching import Answer

KEYS = "https://id.slow.example/keys"
TOKEN = "https://id.busy.example/token"
HOUR, NOW = timedelta(hours=1), timedelta()


def network(meanwhile: Callable[[], object] = lambda: None, at: str = KEYS) -> Any:
    """A network that answers, after something else has happened at one URL."""

    def fetch(url: str, **_: Any) -> Answer:
        if url == at:
            meanwhile()
        return Answer(200, {"content-type": "application/json"}, b'{"keys": []}')

    return patch.object(calls, "fetch", fetch)


@pytest.fixture
def hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calls, "SECONDS_TO_WAIT", 0.01)


@pytest.mark.usefixtures("hurry")
def test_what_is_known_can_be_read_while_it_is_read_again(app: Flask) -> None:
    with app.app_context():
        documents = calls.documents()
        with network():
            documents.read(KEYS, younger_than=HOUR)
        seen = []
        with network(lambda: seen.append(documents.read(KEYS, younger_than=HOUR))):
            documents.read(KEYS, younger_than=NOW)

    assert seen == [{"keys": []}]


@pytest.mark.usefixtures("hurry")
def test_a_quarter_of_the_threads_waits_for_one_server(
    app: Flask, set_settings: Callable[..., None]
) -> None:
    set_settings(web_threads=8)
    held: list[int] = []

    def call_again() -> None:
        held.append(len(held))
        calls.get("https://id.other.example/")
        calls.get(TOKEN)

    with app.app_context(), network(call_again, at=TOKEN), pytest.raises(ProviderAway) as refused:
        calls.get(TOKEN)

    assert refused.value.reason == "too many other calls wait for it"
    assert len(held) == 2
