"""GET /metrics"""

import os
import re
import signal
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import requests
import time_machine
from flask import Flask
from flask.testing import FlaskClient
from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy.exc import OperationalError
from werkzeug.test import TestResponse

from app.extensions import db
from app.mail import delivery, messages
from app.models import User
from app.observability.metrics import exposition
from app.observability.routes import _read_now
from app.version import VERSION
from tests.conftest import ENVIRONMENT
from tests.factories import API, bearer, log_in, me, problem, refresh
from tests.mail.letters import queue
from tests.servers import Server, serving
from tests.serving.test_serving import needs_postgres, new_database, workers
from tests.test_docs import in_backticks, rows
from tests.waiting import until

TOKEN = "a-token-for-prometheus-alone"


def scrape(client: FlaskClient, **options: object) -> TestResponse:
    response = client.get("/metrics", **options)
    assert response.status_code == 200, response.text
    return response


def values(text: str) -> dict[str, float]:
    """Sample → value, as Prometheus would read them: ``name{label="…"}``."""
    return {
        f"{sample.name}{{{','.join(f'{k}={v}' for k, v in sorted(sample.labels.items()))}}}": (
            sample.value
        )
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


@pytest.fixture
def moved(client: FlaskClient) -> Callable[[], dict[str, float]]:
    """What has moved, and by how much, since the fixture was made or last asked."""
    seen = values(scrape(client).text)

    def since() -> dict[str, float]:
        nonlocal seen
        before, seen = seen, values(scrape(client).text)
        return {
            name: value - before.get(name, 0)
            for name, value in seen.items()
            if value != before.get(name, 0)
        }

    return since


Moved = Callable[[], dict[str, float]]


def test_it_is_text_for_prometheus(client: FlaskClient) -> None:
    response = scrape(client)

    assert response.content_type.startswith("text/plain; version=")
    assert "# TYPE http_requests_total counter" in response.text


def test_requests_are_counted_by_method_route_and_status(
    client: FlaskClient, ada: User, moved: Moved
) -> None:
    token = log_in(client, ada)["access_token"]
    me(client, token)
    client.get(f"{API}/users/{ada.id + 1}", headers=bearer(token))

    found = moved()

    route = f"{API}/users/<digits:user_id>"
    assert found[f"http_requests_total{{method=GET,route={API}/users/me,status=200}}"] == 1
    assert found[f"http_requests_total{{method=GET,route={route},status=403}}"] == 1
    assert found[f"http_requests_total{{method=POST,route={API}/auth/login,status=200}}"] == 1
    assert found[f"http_request_duration_seconds_count{{route={API}/users/me}}"] == 1
    assert found[f"http_request_duration_seconds_sum{{route={API}/users/me}}"] > 0


def test_what_leads_nowhere_shares_one_label_and_no_text_of_the_client_becomes_one(
    client: FlaskClient, moved: Moved
) -> None:
    client.get("/canary-1")
    client.open("/canary-2", method="CANARY")
    client.open("/healthz", method="CANARY")

    found = moved()

    assert found["http_requests_total{method=any,route=unmatched,status=404}"] == 2
    assert found["http_requests_total{method=any,route=unmatched,status=405}"] == 1
    assert not re.search("canary", scrape(client).text, re.IGNORECASE)


def test_a_host_that_is_not_ours_is_counted_too(make_app: Callable[..., Flask]) -> None:
    client = make_app(TRUSTED_HOSTS="localhost").test_client()
    before = values(scrape(client).text)

    client.get("/nowhere", headers={"Host": "evil.example"})

    sample = "http_requests_total{method=any,route=unmatched,status=400}"
    assert values(scrape(client).text)[sample] == before.get(sample, 0) + 1


def test_bugs_are_counted_as_500(new_app: Callable[..., Flask]) -> None:
    app = new_app()
    app.add_url_rule("/broken", view_func=lambda: 1 / 0)
    client = app.test_client()
    sample = "http_requests_total{method=GET,route=/broken,status=500}"
    before = values(scrape(client).text).get(sample, 0)

    client.get("/broken")

    assert values(scrape(client).text)[sample] == before + 1


def test_a_reused_refresh_token_is_counted(
    client: FlaskClient, ada: User, set_settings: Callable[..., None], moved: Moved
) -> None:
    set_settings(refresh_retry_window=timedelta(0), refresh_late_retry=timedelta(0))
    first = log_in(client, ada)["refresh_token"]
    refresh(client, first)
    refresh(client, first)

    assert moved()["security_events_total{event=refresh_token_reused}"] == 1


def test_connections_in_use_are_counted_up_and_down(
    app: Flask, client: FlaskClient, ada: User
) -> None:
    def in_use() -> float:
        return values(scrape(client).text)["database_connections_in_use{}"]

    before = in_use()
    with app.app_context(), db.engine.connect(), db.engine.connect():
        during = in_use()
    me(client, log_in(client, ada)["access_token"])

    assert during == before + 2
    assert in_use() == before


def test_a_connection_that_broke_is_not_in_use_for_ever(app: Flask, client: FlaskClient) -> None:
    before = values(scrape(client).text)["database_connections_in_use{}"]

    with app.app_context(), db.engine.connect() as connection:
        connection.invalidate()

    assert values(scrape(client).text)["database_connections_in_use{}"] == before


def test_the_outbox_is_looked_at_when_it_is_asked_for(app: Flask, client: FlaskClient) -> None:
    now = datetime.now(UTC)
    with time_machine.travel(now - timedelta(minutes=5)):
        queue(app, messages.verify_email, token="t")
    queue(app, messages.verify_email, token="t")

    found = values(scrape(client).text)

    assert found["outbox_waiting{}"] == 2
    assert 300 <= found["outbox_oldest_waiting_seconds{}"] < 400
    assert found["database_up{}"] == 1


def test_an_empty_outbox_has_no_age(client: FlaskClient) -> None:
    found = values(scrape(client).text)

    assert found["outbox_waiting{}"] == 0
    assert found["outbox_oldest_waiting_seconds{}"] < 1


def test_while_the_database_is_away_the_rest_is_there(
    client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away() -> None:
        raise OperationalError("SELECT", {}, Exception("away"))

    monkeypatch.setattr(delivery, "backlog", away)

    found = values(scrape(client).text)

    assert found["database_up{}"] == 0
    assert "outbox_waiting{}" not in found
    assert "password_hashes_waiting{}" in found


def test_the_version_is_a_label_of_a_metric_that_is_always_1(client: FlaskClient) -> None:
    found = values(scrape(client).text)

    assert found[f"user_system_build_info{{version={VERSION}}}"] == 1


def test_every_metric_is_in_operations_md_and_no_other(app: Flask) -> None:
    documented = {in_backticks(row[0])[0]: row[1] for row in rows("docs/operations.md", "metric")}

    with app.app_context():
        text = exposition(_read_now()).decode()
    ours = {
        family.name + "_total" * (family.type == "counter"): family.type
        for family in text_string_to_metric_families(text)
        if not family.name.startswith(("python_", "process_")) and family.name.find("_created") < 0
    }
    assert documented == ours


# Who may


@pytest.fixture
def guarded(make_app: Callable[..., Flask]) -> FlaskClient:
    return make_app(METRICS_TOKEN=TOKEN).test_client()


def test_outside_production_everybody_may_where_no_token_is_set(
    client: FlaskClient,
) -> None:
    assert scrape(client).status_code == 200


def test_production_shows_nothing_without_a_token_in_the_settings(
    client: FlaskClient, set_settings: Callable[..., None]
) -> None:
    set_settings(app_env="production")

    responses = [client.get("/metrics"), client.get("/metrics", headers=bearer(TOKEN))]
    set_settings(metrics_token=TOKEN)
    responses += [client.get("/metrics"), client.get("/metrics", headers=bearer(TOKEN))]

    assert [problem(response) for response in responses[:3]] == [
        (404, "not_found"),
        (404, "not_found"),
        (401, "not_authenticated"),
    ]
    assert responses[3].status_code == 200


def test_with_one_nobody_may_who_does_not_send_it(guarded: FlaskClient) -> None:
    nothing = guarded.get("/metrics")
    wrong = guarded.get("/metrics", headers=bearer(TOKEN[:-1]))
    in_the_query = guarded.get("/metrics", query_string={"token": TOKEN})

    assert problem(nothing) == (401, "not_authenticated")
    assert problem(wrong) == (401, "invalid_token")
    assert problem(in_the_query) == (401, "not_authenticated")


def test_who_sends_it_may(guarded: FlaskClient) -> None:
    assert scrape(guarded, headers=bearer(TOKEN)).status_code == 200


def test_an_access_token_is_not_it(guarded: FlaskClient, grace: User) -> None:
    token = log_in(guarded, grace)["access_token"]

    response = guarded.get("/metrics", headers=bearer(token))

    assert problem(response) == (401, "invalid_token")


# Several processes


@pytest.fixture(
    scope="module",
    params=[
        pytest.param("sqlite", marks=pytest.mark.xdist_group("metrics on sqlite")),
        pytest.param(
            "postgresql", marks=[needs_postgres, pytest.mark.xdist_group("metrics on postgresql")]
        ),
    ],
)
def server(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("metrics")
    with (
        new_database(request.param, folder) as url,
        serving(folder / "log", **ENVIRONMENT, DATABASE_URL=url, WEB_CONCURRENCY="2") as server,
    ):
        until(lambda: len(workers(server)) == 2)
        yield server


def scraped(server: Server) -> dict[str, float]:
    return values(requests.get(f"{server.url}/metrics", timeout=30).text)


def folders(server: Server) -> set[Path]:
    """Where the workers of this server count."""
    maps = Path(f"/proc/{server.process.pid}/maps").read_text()
    return {Path(path).parent for path in re.findall(r"/\S+/user-system-metrics-\S+/\S+", maps)}


def test_the_workers_are_added_up_whichever_of_them_is_asked(server: Server) -> None:
    sample = "http_requests_total{method=any,route=unmatched,status=404}"
    before = scraped(server).get(sample, 0)

    # Each on a connection of its own, so that both workers get some.
    for _ in range(40):
        requests.get(f"{server.url}/nowhere", timeout=30)

    assert {scraped(server)[sample] for _ in range(10)} == {before + 40}


def test_what_a_worker_counted_outlives_it_and_what_it_was_doing_does_not(server: Server) -> None:
    for _ in range(20):
        requests.get(f"{server.url}/nowhere", timeout=30)
    sample = "http_requests_total{method=any,route=unmatched,status=404}"
    before = scraped(server)[sample]
    [folder] = folders(server)
    victim = min(workers(server))
    until(lambda: list(folder.glob(f"gauge_*_{victim}.db")))

    os.kill(victim, signal.SIGKILL)
    until(lambda: len(workers(server) - {victim}) == 2)

    assert scraped(server)[sample] == before
    assert not list(folder.glob(f"gauge_*_{victim}.db"))


def test_reloading_goes_on_counting_in_the_same_place(server: Server) -> None:
    requests.get(f"{server.url}/nowhere", timeout=30)
    sample = "http_requests_total{method=any,route=unmatched,status=404}"
    before = scraped(server)[sample]
    old, places = workers(server), folders(server)

    server.process.send_signal(signal.SIGHUP)
    until(lambda: len(workers(server)) == 2 and not workers(server) & old)

    assert folders(server) == places
    assert scraped(server)[sample] == before


def test_a_worker_that_is_just_beginning_stops_no_scrape(server: Server) -> None:
    [folder] = folders(server)
    before = scraped(server)

    # What prometheus_client opens a moment before it writes to it.
    for name in ("counter_999999.db", "gauge_livesum_999999.db"):
        (folder / name).touch()

    assert scraped(server).keys() >= before.keys()


def test_an_orderly_stop_leaves_nothing_behind(tmp_path: Path) -> None:
    with (
        new_database("sqlite", tmp_path) as url,
        serving(tmp_path / "log", **ENVIRONMENT, DATABASE_URL=url) as server,
    ):
        [folder] = folders(server)
        assert folder.is_dir()

    assert not folder.exists()
