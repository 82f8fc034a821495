"""What reads an account and writes, against what rescues or stops it meanwhile.

Two hashes take half a second, a lock may be waited for, and a thief who is signed in chooses the
moment. Each verb is let in first, and then the owner or an administrator acts before the verb has
written. `make test` tries each verb against one rescue, and `make test-long` against all of them.
"""

import re
import threading
from collections.abc import Callable
from threading import Thread
from typing import Any

import pytest
import sqlalchemy
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy.orm import joinedload
from werkzeug.test import TestResponse

from app.administration import accounts, mails, operating, roles
from app.api_keys.models import ApiKey
from app.auth.email import change
from app.auth.mfa.totp.models import TotpFactor
from app.auth.passkeys.models import Passkey
from app.auth.providers import first_password, identities, signing_in
from app.auth.providers.models import Attempt, Identity
from app.auth.providers.visitor import Visitor
from app.auth.sessions import sessions
from app.errors import SessionEnded
from app.extensions import db
from app.models import OneTimeToken, OutboxMessage, Role, Session, User, UserRole
from app.security.one_time_tokens import Purpose
from app.security.passwords import hashing
from tests.auth.providers.acme import Acme
from tests.auth.sessions.test_races import count, elsewhere, live_sessions
from tests.auth.sessions.test_sessions import claims_of
from tests.auth.test_mail_races import logs_in, posting, resetting
from tests.auth.verbs import (
    BY_THE_RESCUE,
    BY_THE_VERB,
    OLD_HASH,
    SESSION_ENDED,
    VERBS,
    Scene,
    changing,
)
from tests.conftest import IS_LONG_RUN
from tests.factories import API, PASSWORD, bearer, log_in, make_role, make_user, me, problem
from tests.waiting import until

pytestmark = pytest.mark.postgresql


def undoing(scene: Scene) -> Callable[[], TestResponse]:
    return posting(
        scene.app, "/auth/email/change/cancel", {"token": scene.link(Purpose.EMAIL_UNDO)}
    )


def repudiating(scene: Scene) -> Callable[[], TestResponse]:
    return posting(scene.app, "/auth/not-me", {"token": scene.link(Purpose.NOT_ME)})


def resetting_meanwhile(scene: Scene) -> Callable[[], TestResponse]:
    # A link of the other kind than the verb's own, or issuing it would kill that.
    with scene.app.app_context():
        has_reset = db.session.scalar(
            sqlalchemy.select(OneTimeToken.id).where(
                OneTimeToken.purpose == Purpose.PASSWORD_RESET.value
            )
        )
    purpose = Purpose.INVITATION if has_reset else Purpose.PASSWORD_RESET
    return resetting(scene.app, scene.link(purpose), BY_THE_RESCUE)


def by_operator(act: Callable[[Scene], None]) -> Callable[[Scene], Callable[[], None]]:
    def prepare(scene: Scene) -> Callable[[], None]:
        def acting() -> None:
            with scene.app.app_context():
                act(scene)

        return acting

    return prepare


RESCUES: dict[str, Callable[[Scene], Callable[[], TestResponse | None]]] = {
    "not-me": repudiating,
    "undo": undoing,
    "deactivate": by_operator(lambda scene: accounts.set_active("ada@example.com", False)),
    "reset": resetting_meanwhile,
    "erase": by_operator(lambda scene: accounts.delete(scene.ada.id, actor=None)),
}


# Each verb against one rescue, and one verb against each of them.
PAIRS = [
    (verb, rescue)
    for verb in VERBS
    for rescue in RESCUES
    if IS_LONG_RUN or rescue == "not-me" or verb == "a change of the password"
]
# To a verb of one step, it is all the same whether the rescue comes before it or is waited for.
LET_IN = [verb for verb in VERBS if IS_LONG_RUN or not VERBS[verb].is_one_step]


@pytest.fixture
def verb() -> str:
    """For tests that are not about one of the verbs."""
    return "a change of the password"


@pytest.fixture
def scene(app: Flask, client: FlaskClient, verb: str) -> Scene:
    is_old = verb == "a login that stores a hash of today"
    superuser = VERBS[verb].is_of_superusers
    ada = make_user(app, username="ada", email="ada@example.com", superuser=superuser)
    if superuser:
        # Or nobody could take ada away.
        make_user(app, username="grace", email="grace@example.com", superuser=True)
    bob = make_user(app, username="bob", email="bob@example.com")
    pair = log_in(client, ada)
    if is_old:
        store_old_hash(app)
    return Scene(app, ada, pair, bob, make_role(app, "support"))


@pytest.mark.parametrize(("verb", "rescue"), [pair for pair in PAIRS if pair[0] in LET_IN])
def test_what_was_let_in_before_a_rescue_and_writes_after_it_is_refused(
    app: Flask, scene: Scene, verb: str, rescue: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    act, save = VERBS[verb].prepare(scene), RESCUES[rescue](scene)
    module, name = VERBS[verb].last_step
    step = getattr(module, name)
    here, saved = threading.current_thread(), []

    def rescued(*arguments: Any, **named: Any) -> Any:
        if threading.current_thread() is not here or saved:
            return step(*arguments, **named)
        # What hashes nothing has its whole writing in the step.
        is_after = module is hashing
        result = step(*arguments, **named) if is_after else None
        in_thread = Thread(target=lambda: saved.append(save()))
        in_thread.start()
        in_thread.join()
        return result if is_after else step(*arguments, **named)

    monkeypatch.setattr(module, name, rescued)

    answer = act()

    assert_rescued(app, saved, answer, verb, rescue)


@pytest.mark.parametrize(("verb", "rescue"), PAIRS)
def test_what_waits_for_a_rescue_to_commit_is_refused(
    app: Flask, scene: Scene, verb: str, rescue: str
) -> None:
    act, save = VERBS[verb].prepare(scene), RESCUES[rescue](scene)
    here, waiting, answers = threading.current_thread(), [], []
    takes_the_user = re.compile(r"UPDATE users SET|SELECT .*FROM users\s.*FOR UPDATE", re.DOTALL)

    def begin(*event: Any) -> None:
        if threading.current_thread() is here and not waiting and takes_the_user.match(event[2]):
            waiting.append(elsewhere(app, lambda: answers.append(act())))
            until(lambda: waits_for_a_lock(app) or not waiting[0].is_alive())

    with app.app_context():
        engine = db.engine
    sqlalchemy.event.listen(engine, "after_cursor_execute", begin)
    try:
        saved = [save()]
    finally:
        sqlalchemy.event.remove(engine, "after_cursor_execute", begin)
    waiting[0].join()

    assert_rescued(app, saved, answers[0], verb, rescue)


def waits_for_a_lock(app: Flask) -> bool:
    """Whether somebody waits for the end of another transaction in this database."""
    waiting = "datname = current_database() AND wait_event_type = 'Lock'"
    with app.app_context(), db.engine.connect() as connection:
        found = connection.exec_driver_sql(f"SELECT 1 FROM pg_stat_activity WHERE {waiting}")
        return found.first() is not None


def assert_rescued(
    app: Flask, saved: list[TestResponse | None], answer: TestResponse, verb: str, rescue: str
) -> None:
    """The rescue came first, so nothing is left of the verb."""
    client = app.test_client()
    assert [one.status_code for one in saved if one] in ([], [204])
    assert problem(answer) in VERBS[verb].refusals
    assert live_sessions(app) == 0
    assert not logs_in(client, BY_THE_VERB)
    assert count(app, OneTimeToken, OneTimeToken.purpose == Purpose.EMAIL_CHANGE.value) == 0
    assert count(app, User, User.deletion_due_at.is_not(None)) == 0
    assert_nothing_written(app)
    if rescue in ("not-me", "undo"):
        # The link that went to the owner is still good.
        is_link = OneTimeToken.purpose == Purpose.ACCOUNT_RECOVERY.value
        assert count(app, OneTimeToken, is_link, OneTimeToken.used_at.is_(None)) == 1
    if rescue == "reset":
        assert logs_in(client, BY_THE_RESCUE)


def assert_nothing_written(app: Flask) -> None:
    """Of what the verbs write about others, about ada's name, or as another way in."""
    assert count(app, User, User.username == "renamed") == 0
    assert count(app, User, User.username == "bob", User.is_superuser.is_(False)) == 1
    assert count(app, Role, Role.name == "support") == count(app, Role) == 1
    assert count(app, UserRole) == 0
    assert count(app, TotpFactor, TotpFactor.confirmed_at > TotpFactor.created_at) == 0
    assert count(app, Passkey, Passkey.name == "by the verb") == 0
    assert count(app, ApiKey, ApiKey.name == "by the verb") == 0
    assert count(app, OutboxMessage, OutboxMessage.recipient == "bob@example.com") == 0


@pytest.mark.parametrize(
    "by",
    ["its own logout", "a global logout", "another device", "an administrator"]
    if IS_LONG_RUN
    else ["another device"],
)
@pytest.mark.parametrize("verb", [verb for verb in LET_IN if VERBS[verb].refusals == SESSION_ENDED])
def test_what_was_let_in_by_a_session_that_is_ended_meanwhile_is_refused(
    app: Flask, client: FlaskClient, scene: Scene, verb: str, by: str, monkeypatch: Any
) -> None:
    """The password stays as it was here, so the session alone tells."""
    other = log_in(client, scene.ada)
    endings: dict[str, Callable[[], object]] = {
        "its own logout": posting(app, "/auth/logout", {}, scene.pair),
        "a global logout": posting(app, "/auth/logout?scope=global", {}, other),
        "another device": ending(app, scene, other),
        "an administrator": lambda: accounts.end_sessions(scene.ada.id, actor=None),
    }
    act = VERBS[verb].prepare(scene)
    module, name = VERBS[verb].last_step
    step = getattr(module, name)
    here, begun = threading.current_thread(), []

    def ended(*arguments: Any, **named: Any) -> Any:
        if threading.current_thread() is not here or begun:
            return step(*arguments, **named)
        begun.append(True)
        is_after = module is hashing
        result = step(*arguments, **named) if is_after else None
        elsewhere(app, endings[by]).join()
        return result if is_after else step(*arguments, **named)

    monkeypatch.setattr(module, name, ended)

    answer = act()

    assert problem(answer) == (401, "session_ended")
    monkeypatch.undo()
    assert not logs_in(client, BY_THE_VERB)
    assert logs_in(client, PASSWORD)
    assert_nothing_written(app)


ACME = Acme().settings()
VISITOR = Visitor(ACME.issuer, "1", label="Ada", username="ada", email=None, is_email_proved=False)
# What only pages offer, to everybody and to administrators.
OF_PAGES: dict[str, Callable[[Session, User], object]] = {
    "linking an identity": lambda session, _: identities.link(session, ACME, VISITOR),
    "linking the identity that waits": lambda session, _: signing_in.confirm(
        Attempt(user_id=session.user_id), ACME, session
    ),
    "a first password": lambda session, _: first_password.set_first(session, BY_THE_VERB),
    "taking back a change of address": lambda session, _: change.withdraw(session),
}
OF_ADMINISTRATORS: dict[str, Callable[[Session, User], object]] = {
    "confirming an address": lambda session, bob: operating.verify(bob.id, actor=session),
    "forgetting failures": lambda session, bob: operating.unlock(bob.id, actor=session),
    "ending a session": lambda session, _: accounts.end_session(session.id, actor=session),
    "giving one role more": lambda session, bob: roles.change_roles(bob.id, actor=session),
    "sending a mail again": lambda session, _: mails.retry(1, actor=session),
    "deleting a mail": lambda session, _: mails.drop(1, actor=session),
}


@pytest.mark.parametrize(
    ("what", "verb"),
    [(what, "a change of the password") for what in OF_PAGES]
    + [(what, "promoting") for what in OF_ADMINISTRATORS],
)
def test_what_a_page_does_after_a_rescue_is_refused(app: Flask, scene: Scene, what: str) -> None:
    save = repudiating(scene)
    with app.test_request_context():
        if what == "a first password":
            db.session.execute(sqlalchemy.update(User).values(hashed_password=None))
            db.session.commit()
        its_id = claims_of(scene.pair["access_token"])["sid"]
        session = db.session.get_one(Session, its_id, options=[joinedload(Session.user)])
        db.session.expunge_all()
        db.session.rollback()
        elsewhere(app, save).join()

        with pytest.raises(SessionEnded):
            (OF_PAGES | OF_ADMINISTRATORS)[what](session, scene.bob)

    assert count(app, Identity) == 0
    assert count(app, User, User.id == scene.ada.id, User.hashed_password.is_not(None)) == 0


@pytest.mark.parametrize(
    "verb",
    [
        "a change of the password",
        "the password once more",
        "a change of address",
        "closing the account",
    ],
)
def test_a_login_that_stores_a_hash_of_today_meanwhile_disturbs_nothing(
    app: Flask, client: FlaskClient, scene: Scene, verb: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The password is the same, and so is the session."""
    store_old_hash(app)
    act = VERBS[verb].prepare(scene)
    module, name = VERBS[verb].last_step
    step = getattr(module, name)
    here, begun = threading.current_thread(), []

    def upgraded(*arguments: Any, **named: Any) -> Any:
        if threading.current_thread() is not here or begun:
            return step(*arguments, **named)
        begun.append(True)
        result = step(*arguments, **named) if module is hashing else None
        elsewhere(app, lambda: log_in(app.test_client(), scene.ada)).join()
        return result if module is hashing else step(*arguments, **named)

    monkeypatch.setattr(module, name, upgraded)

    answer = act()

    assert answer.status_code in (200, 202), answer.text
    assert count(app, User, User.id == scene.ada.id, User.hashed_password == OLD_HASH) == 0
    assert logs_in(client, BY_THE_VERB) is (verb == "a change of the password")


def test_a_logout_that_a_change_of_the_password_overtakes_says_that_it_ended_nothing(
    app: Flask, client: FlaskClient, scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    renewed: list[dict[str, Any]] = []
    leave = sessions.log_out

    def overtaken(*arguments: Any) -> None:
        elsewhere(app, lambda: renewed.append(changing(scene)().json)).join()
        leave(*arguments)

    monkeypatch.setattr(sessions, "log_out", overtaken)

    answer = scene.call("POST", "/auth/logout")

    assert problem(answer) == (401, "session_ended")
    assert me(client, renewed[0]["access_token"]).status_code == 200


def test_a_logout_of_a_session_that_was_ended_meanwhile_is_no_error(
    app: Flask, scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    leave = sessions.log_out

    def overtaken(*arguments: Any) -> None:
        elsewhere(app, lambda: accounts.end_sessions(scene.ada.id, actor=None)).join()
        leave(*arguments)

    monkeypatch.setattr(sessions, "log_out", overtaken)

    assert scene.call("POST", "/auth/logout").status_code == 204


def test_a_session_that_is_left_while_its_proof_is_written_is_not_raised(
    app: Flask, scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A device that signs itself out does not wait for the user."""
    leave, confirm = posting(app, "/auth/logout", {}, scene.pair), sessions.confirm

    def overtaken(*arguments: Any) -> Session:
        elsewhere(app, leave).join()
        return confirm(*arguments)

    monkeypatch.setattr(sessions, "confirm", overtaken)

    answer = scene.call("POST", "/auth/reauthenticate", password=PASSWORD)

    assert problem(answer) == (401, "session_ended")


def store_old_hash(app: Flask) -> None:
    with app.app_context():
        db.session.execute(sqlalchemy.update(User).values(hashed_password=OLD_HASH))
        db.session.commit()


def ending(app: Flask, scene: Scene, by: dict[str, Any]) -> Callable[[], TestResponse]:
    """The owner, on another device, ends the session of the pair."""
    session_id = claims_of(scene.pair["access_token"])["sid"]
    return lambda: app.test_client().delete(
        f"{API}/auth/sessions/{session_id}", headers=bearer(by["access_token"])
    )
