"""What a thief and an owner do at once: real threads, each with a client of its own"""

import json
from collections.abc import Callable, Collection
from pathlib import Path

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import func, select

from app.administration import accounts
from app.auth.email import change
from app.auth.sessions import sessions
from app.extensions import db
from app.models import OneTimeToken, User
from app.moving import importing as importing_module
from app.security import one_time_tokens
from app.security.one_time_tokens import Purpose
from app.security.passwords import hashing
from tests.auth.sessions.test_races import at_once, count, elsewhere
from tests.auth.test_mail_races import changing, issue, posting, resetting
from tests.factories import API, PASSWORD, bearer, log_in, problem
from tests.mailbox import Mailbox

OLD, THIEFS = "ada@example.com", "thief@example.com"


@pytest.fixture
def links(app: Flask, client: FlaskClient, ada: User, mailbox: Mailbox) -> dict[str, str]:
    """What was mailed for a change of Ada's address that waits: page → token."""
    posting(app, "/auth/email/change", {"new_email": THIEFS}, log_in(client, ada))()
    return {mail.page: mail.token for mail in mailbox.deliver() if mail.link}


def registering(app: Flask, number: int) -> Callable[[], object]:
    account = {"email": OLD, "username": f"thief{number}", "password": PASSWORD}
    return posting(app, "/auth/register", account)


def importing(app: Flask, folder: Path) -> Callable[[], object]:
    rows = folder / "accounts.jsonl"
    rows.write_text(json.dumps({"email": OLD, "username": "imported"}) + "\n")
    arguments = ["users", "import", str(rows), "--report", str(folder / "report.jsonl")]
    return lambda: app.test_cli_runner().invoke(args=arguments)


@pytest.mark.parametrize("round_", range(3))
def test_nobody_gets_the_address_in_the_moment_in_which_the_account_leaves_it(
    app: Flask, client: FlaskClient, links: dict[str, str], tmp_path: Path, round_: int
) -> None:
    confirm = posting(app, "/auth/email/change/confirm", {"token": links["confirm-email"]})

    at_once(confirm, importing(app, tmp_path), *(registering(app, n) for n in range(6)))

    with app.app_context():
        assert db.session.scalars(select(User.email)).all() == [THIEFS]
    undo = posting(app, "/auth/email/change/cancel", {"token": links["undo-email-change"]})
    assert undo().status_code == 204


@pytest.mark.parametrize("round_", range(3))
def test_nobody_gets_the_address_in_the_moment_in_which_the_owner_returns(
    app: Flask, client: FlaskClient, links: dict[str, str], tmp_path: Path, round_: int
) -> None:
    posting(app, "/auth/email/change/confirm", {"token": links["confirm-email"]})()
    undo = posting(app, "/auth/email/change/cancel", {"token": links["undo-email-change"]})

    returned, *_ = at_once(undo, importing(app, tmp_path), *(registering(app, n) for n in range(6)))

    assert returned.status_code == 204  # type: ignore[attr-defined]
    with app.app_context():
        assert db.session.scalars(select(User.email)).all() == [OLD]


@pytest.mark.postgresql
def test_a_registration_that_looked_before_the_address_was_left_comes_too_late(
    app: Flask, links: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    confirm = posting(app, "/auth/email/change/confirm", {"token": links["confirm-email"]})
    hash_password, confirmed = hashing.hash, []

    def hash_slowly(password: str) -> str:
        elsewhere(app, lambda: confirmed.append(confirm().status_code)).join()
        return hash_password(password)

    monkeypatch.setattr(hashing, "hash", hash_slowly)

    response = registering(app, 0)()

    assert confirmed == [204]
    assert problem(response) == (400, "email_taken")  # type: ignore[arg-type]


@pytest.mark.postgresql
def test_an_import_that_looked_before_the_address_was_left_comes_too_late(
    app: Flask, links: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    confirm = posting(app, "/auth/email/change/confirm", {"token": links["confirm-email"]})
    look, confirmed = importing_module._left, []

    def look_and_be_overtaken(emails: Collection[str]) -> set[str]:
        if not confirmed:
            elsewhere(app, lambda: confirmed.append(confirm().status_code)).join()
            return set()
        return look(emails)

    def who_was_there(*_: object) -> tuple[dict[str, object], set[str]]:
        return ({}, set())

    monkeypatch.setattr(importing_module, "_left", look_and_be_overtaken)
    monkeypatch.setattr(importing_module, "_existing_holders", who_was_there)

    importing(app, tmp_path)()

    assert confirmed == [204]
    with app.app_context():
        assert db.session.scalars(select(User.email)).all() == [THIEFS]
    row = json.loads((tmp_path / "report.jsonl").read_text())
    assert (row["outcome"], row["reason"]) == ("refused", "email_taken")


@pytest.mark.parametrize("end", ["deactivate", "end_sessions", "not me", "undo"])
def test_a_reset_that_read_its_link_before_it_was_ended_sets_no_password(
    app: Flask, client: FlaskClient, ada: User, monkeypatch: pytest.MonkeyPatch, end: str
) -> None:
    token = issue(app, ada, Purpose.PASSWORD_RESET)
    ends: dict[str, Callable[[], object]] = {
        "deactivate": lambda: accounts.set_active(OLD, False),
        "end_sessions": lambda: accounts.end_sessions(ada.id, actor=None),
        "not me": posting(app, "/auth/not-me", {"token": issue(app, ada, Purpose.NOT_ME)}),
        "undo": posting(
            app, "/auth/email/change/cancel", {"token": issue(app, ada, Purpose.EMAIL_UNDO)}
        ),
    }
    hash_password = hashing.hash

    def hash_slowly(password: str) -> str:
        elsewhere(app, ends[end]).join()
        return hash_password(password)

    monkeypatch.setattr(hashing, "hash", hash_slowly)

    response = resetting(app, token, "of the thief")()

    assert problem(response) == (400, "invalid_link")
    with app.app_context():
        stored = db.session.get_one(User, ada.id).hashed_password
        assert not hashing.verify("of the thief", stored).is_right


@pytest.mark.parametrize("round_", range(3))
@pytest.mark.parametrize("rescue", [Purpose.NOT_ME, Purpose.EMAIL_UNDO])
def test_no_change_of_the_password_outlives_a_rescue_at_the_same_moment(
    app: Flask, client: FlaskClient, ada: User, mailbox: Mailbox, rescue: Purpose, round_: int
) -> None:
    pair = log_in(client, ada)
    path = "/auth/not-me" if rescue is Purpose.NOT_ME else "/auth/email/change/cancel"
    saving = posting(app, path, {"token": issue(app, ada, rescue)})

    saved, _ = at_once(saving, changing(app, pair, "of the thief"))

    assert saved.status_code == 204
    with app.app_context():
        assert db.session.get_one(User, ada.id).hashed_password is None
    link = mailbox.token("reset-password", to=OLD)
    assert resetting(app, link, "set by ada herself")().status_code == 204


@pytest.mark.parametrize("round_", range(3))
def test_no_change_of_address_waits_after_a_global_logout_at_the_same_moment(
    app: Flask, client: FlaskClient, ada: User, round_: int
) -> None:
    pairs = [log_in(client, ada) for _ in range(4)]
    leaving = app.test_client()

    def log_out() -> object:
        headers = bearer(pairs[0]["access_token"])
        return leaving.post(f"{API}/auth/logout?scope=global", headers=headers)

    asking = [posting(app, "/auth/email/change", {"new_email": THIEFS}, pair) for pair in pairs]
    at_once(log_out, *asking)

    assert count(app, OneTimeToken, OneTimeToken.purpose == Purpose.EMAIL_CHANGE.value) == 0


@pytest.mark.postgresql
def test_a_global_logout_waits_for_a_change_of_address_that_is_being_asked_for(
    app: Flask, client: FlaskClient, ada: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    pair = log_in(client, ada)
    lock_user, threads = sessions.lock_user, []
    leaving = app.test_client()

    def lock_and_leave(session: object) -> User:
        user = lock_user(session)  # type: ignore[arg-type]
        headers = bearer(pair["access_token"])
        path = f"{API}/auth/logout?scope=global"
        threads.append(elsewhere(app, lambda: leaving.post(path, headers=headers)))
        # It waits for this transaction to end.
        threads[0].join(timeout=0.5)
        return user

    monkeypatch.setattr(change.sessions, "lock_user", lock_and_leave)

    asked = posting(app, "/auth/email/change", {"new_email": THIEFS}, pair)()
    threads[0].join()

    assert asked.status_code == 202
    assert count(app, OneTimeToken, OneTimeToken.purpose == Purpose.EMAIL_CHANGE.value) == 0


@pytest.mark.postgresql
@pytest.mark.parametrize("round_", range(3))
def test_two_undos_that_take_from_each_other_do_not_deadlock(
    app: Flask, client: FlaskClient, ada: User, bob: User, round_: int
) -> None:
    with app.app_context():
        tokens = [
            one_time_tokens.issue(user.id, Purpose.EMAIL_UNDO, email=other.email)
            for user, other in ((ada, bob), (bob, ada))
        ]
        db.session.commit()

    answers = at_once(
        *(posting(app, "/auth/email/change/cancel", {"token": token}) for token in tokens)
    )

    assert {answer.status_code for answer in answers} <= {204, 400}
    assert 204 in {answer.status_code for answer in answers}
    with app.app_context():
        assert db.session.scalar(select(func.count(User.id))) == 2
