"""flask prune"""

import time
from collections.abc import Callable
from datetime import timedelta
from uuid import UUID, uuid4

import pytest
import sqlalchemy
import time_machine
from click.testing import Result
from flask import Flask
from flask.testing import FlaskClient

from app import clock, features
from app.auth.sessions import sessions
from app.extensions import db
from app.models import Session, User
from app.security.tokens import CLOCK_SKEW
from tests.factories import log_in, me, problem, refresh

LONG_PAST = timedelta(days=60)


def prune(app: Flask, *arguments: str) -> Result:
    return app.test_cli_runner().invoke(args=["prune", *arguments])


def count(app: Flask) -> int:
    with app.app_context():
        return db.session.scalar(sqlalchemy.select(sqlalchemy.func.count(Session.id))) or 0


def removed(app: Flask, sessions: int) -> str:
    """What is printed where there was nothing but sessions to remove."""
    others = [
        "one-time tokens",
        "idempotency keys",
        "mails",
        "failed logins",
        "closed accounts",
        "unconfirmed accounts",
        "audit events",
    ]
    with app.app_context():
        others += [what for feature in features.active() for what in feature.prunes]
    return f"Removed {sessions} sessions.\n" + "".join(f"Removed 0 {what}.\n" for what in others)


def make_sessions(app: Flask, user: User, number: int, *, over_since: timedelta) -> list[UUID]:
    """Sessions whose greatest age was reached that long ago."""
    end = clock.now() - over_since
    made = [
        Session(
            id=uuid4(),
            user_id=user.id,
            created_at=end - timedelta(days=30),
            refreshed_at=end - timedelta(days=1),
            expires_at=end,
            max_expires_at=end,
        )
        for _ in range(number)
    ]
    ids = [session.id for session in made]
    with app.app_context():
        db.session.add_all(made)
        db.session.commit()
    return ids


@pytest.fixture
def naps(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """How long ``--every`` slept each time; interrupted at the third."""
    slept: list[float] = []

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        if len(slept) == 3:
            raise KeyboardInterrupt

    monkeypatch.setattr(time, "sleep", sleep)
    return slept


# What goes, and what stays


def test_sessions_past_their_greatest_age_are_removed_and_counted(app: Flask, ada: User) -> None:
    make_sessions(app, ada, 3, over_since=LONG_PAST)

    result = prune(app)

    assert (result.exit_code, result.output) == (0, removed(app, 3))
    assert count(app) == 0


def test_where_there_is_nothing_to_remove_it_says_so(app: Flask) -> None:
    result = prune(app)

    assert (result.exit_code, result.output) == (0, removed(app, 0))


def test_the_clock_skew_is_waited_for(app: Flask, ada: User) -> None:
    with time_machine.travel("2026-11-22T08:00:00Z", tick=False) as travelled:
        make_sessions(app, ada, 1, over_since=timedelta(0))

        travelled.shift(CLOCK_SKEW)
        at_the_skew = prune(app).output
        travelled.shift(timedelta(seconds=1))
        past_the_skew = prune(app).output

    assert (at_the_skew, past_the_skew) == (removed(app, 0), removed(app, 1))


def test_living_sessions_go_on(app: Flask, client: FlaskClient, ada: User) -> None:
    pair = log_in(client, ada)

    prune(app)

    assert me(client, pair["access_token"]).status_code == 200
    assert refresh(client, pair["refresh_token"]).status_code == 200


def test_an_idle_session_stays_until_its_greatest_age(
    app: Flask, client: FlaskClient, ada: User
) -> None:
    with time_machine.travel(clock.now() - timedelta(days=29)):
        log_in(client, ada)

    prune(app)

    assert count(app) == 1


def test_an_ended_session_stays_so_that_its_tokens_are_known_to_be_over(
    app: Flask, client: FlaskClient, ada: User
) -> None:
    pair = log_in(client, ada)
    with app.app_context():
        user = db.session.get_one(User, ada.id)
        sessions.end_all(user.id)
        db.session.commit()

    prune(app)

    assert count(app) == 1
    assert problem(me(client, pair["access_token"])) == (401, "session_ended")


def test_a_superseded_token_is_still_detected_after_pruning(
    app: Flask, client: FlaskClient, ada: User
) -> None:
    with time_machine.travel(clock.now() - timedelta(days=13)):
        stolen = log_in(client, ada)["refresh_token"]
        new = refresh(client, stolen).json["refresh_token"]
    newest = refresh(client, new).json["refresh_token"]

    prune(app)

    assert problem(refresh(client, stolen)) == (401, "refresh_token_reused")
    assert problem(refresh(client, newest)) == (401, "invalid_refresh_token")


def test_the_last_token_of_a_pruned_session_is_simply_no_good(
    app: Flask, client: FlaskClient, ada: User
) -> None:
    with time_machine.travel("2026-11-01T08:00:00Z", tick=False) as travelled:
        pair = log_in(client, ada)
        for _ in range(3):
            travelled.shift(timedelta(days=9))
            pair = refresh(client, pair["refresh_token"]).json
        travelled.shift(timedelta(days=3, seconds=11))

        pruned = prune(app).output

        assert pruned == removed(app, 1)
        assert problem(refresh(client, pair["refresh_token"])) == (401, "invalid_refresh_token")


def test_accounts_stay(app: Flask, client: FlaskClient, ada: User) -> None:
    make_sessions(app, ada, 1, over_since=LONG_PAST)

    prune(app)

    assert me(client, log_in(client, ada)["access_token"]).status_code == 200


# In batches, beside traffic


def test_it_goes_in_batches_and_says_how_far_it_is(app: Flask, ada: User) -> None:
    make_sessions(app, ada, 7, over_since=LONG_PAST)

    result = prune(app, "--batch", "3")

    assert result.output.splitlines()[:3] == [
        "… 3 sessions so far",
        "… 6 sessions so far",
        "Removed 7 sessions.",
    ]
    assert count(app) == 0


def test_a_batch_is_never_larger_than_it_may_be(app: Flask, ada: User) -> None:
    make_sessions(app, ada, 50, over_since=LONG_PAST)

    with app.app_context():
        batches = [sessions.prune(20) for _ in range(4)]

    assert batches == [20, 20, 10, 0]


def test_the_oldest_go_first(app: Flask, ada: User) -> None:
    (younger,) = make_sessions(app, ada, 1, over_since=timedelta(days=1))
    make_sessions(app, ada, 1, over_since=timedelta(days=2))

    with app.app_context():
        sessions.prune(1)

        left = db.session.scalars(sqlalchemy.select(Session.id)).all()

    assert left == [younger]


@pytest.mark.postgresql
def test_rows_that_another_transaction_holds_are_left_for_the_next_time(
    app: Flask, ada: User
) -> None:
    held, *_others = make_sessions(app, ada, 3, over_since=LONG_PAST)
    lock = sqlalchemy.select(Session.id).where(Session.id == held).with_for_update()
    with app.app_context(), db.engine.connect() as another:
        another.execute(lock)

        beside_it = prune(app, "--batch", "1")

        assert "Removed 2 sessions." in beside_it.output.splitlines()
    assert count(app) == 1
    assert prune(app).output == removed(app, 1)


@pytest.mark.postgresql
def test_two_at_once_share_the_work(app: Flask, ada: User) -> None:
    make_sessions(app, ada, 10, over_since=LONG_PAST)
    batch = (
        sqlalchemy.select(Session.id)
        .order_by(Session.max_expires_at)
        .limit(5)
        .with_for_update(skip_locked=True)
    )
    with app.app_context(), db.engine.begin() as another:
        another.execute(sqlalchemy.delete(Session).where(Session.id.in_(batch)))

        result = prune(app)

        assert result.output == removed(app, 5)
    assert count(app) == 0


# Its arguments


def test_every_so_often_it_does_it_again(app: Flask, ada: User, naps: list[float]) -> None:
    make_sessions(app, ada, 2, over_since=LONG_PAST)

    result = prune(app, "--every", "1h")

    assert naps == [3600, 3600, 3600]
    assert [line for line in result.output.splitlines() if line.endswith(" sessions.")] == [
        "Removed 2 sessions.",
        "Removed 0 sessions.",
        "Removed 0 sessions.",
    ]


def test_it_holds_no_connection_while_it_sleeps(
    app: Flask, ada: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    used: list[str] = []

    def sleep(_seconds: float) -> None:
        used.append("sleep")
        raise KeyboardInterrupt

    with app.app_context():
        engine = db.engine
    listeners = {name: lambda *_, name=name: used.append(name) for name in ("checkout", "checkin")}
    for name, listener in listeners.items():
        sqlalchemy.event.listen(engine, name, listener)
    monkeypatch.setattr(time, "sleep", sleep)

    prune(app, "--every", "1h")

    for name, listener in listeners.items():
        sqlalchemy.event.remove(engine, name, listener)
    before = used[: used.index("sleep")]
    assert before.count("checkout") == before.count("checkin") > 0


@pytest.mark.parametrize(
    ("text", "seconds"), [("30s", 30), ("10m", 600), ("1h", 3600), ("1d", 86400), ("90m", 5400)]
)
def test_lengths_of_time_are_written_short(
    app: Flask, naps: list[float], text: str, seconds: int
) -> None:
    prune(app, "--every", text)

    assert naps[0] == seconds


@pytest.mark.parametrize(
    "text", ["", "1", "h", "0s", "-1h", "1.5h", "1 h", "1w", "1H", "١h", "1h30m", "1h\n", "1e3s"]
)
def test_what_is_no_length_of_time_is_refused_before_anything_is_removed(
    app: Flask, ada: User, text: str
) -> None:
    make_sessions(app, ada, 1, over_since=LONG_PAST)

    result = prune(app, f"--every={text}")

    assert result.exit_code == 2
    assert "30s, 10m, 1h or 1d" in result.output
    assert count(app) == 1


def test_a_length_of_time_that_cannot_be_slept_is_refused(app: Flask, naps: list[float]) -> None:
    result = prune(app, "--every=999999d")

    assert result.exit_code == 2
    assert naps == []


@pytest.mark.parametrize("batch", ["0", "-1", "x", "1.5"])
def test_a_batch_that_is_none_is_refused(app: Flask, ada: User, batch: str) -> None:
    make_sessions(app, ada, 1, over_since=LONG_PAST)

    result = prune(app, f"--batch={batch}")

    assert result.exit_code == 2
    assert count(app) == 1


def test_the_help_says_what_goes_and_when(app: Flask) -> None:
    result = prune(app, "--help")

    words = " ".join(result.output.split())
    assert "past SESSION_MAX_AGE_DAYS" in words
    assert "--every" in words
    assert "scheduler" in words


def test_every_login_of_a_pruned_cap_still_works(
    app: Flask, client: FlaskClient, ada: User, set_settings: Callable[..., None]
) -> None:
    set_settings(max_sessions_per_user=1)
    make_sessions(app, ada, 1, over_since=LONG_PAST)
    pair = log_in(client, ada)

    prune(app)

    assert me(client, pair["access_token"]).status_code == 200
