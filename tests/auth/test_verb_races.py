"""What reads an account and writes, against what rescues or stops it meanwhile.

Two hashes take half a second, a lock may be waited for, and a thief who is signed in chooses the
moment. Each verb is let in first, and then the owner or an administrator acts before the verb has
written. `make test` tries each verb against one rescue, and `make test-long` against all of them.
"""

import re
import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from threading import Thread
from typing import Any
from uuid import UUID

import bcrypt
import pyotp
import pytest
import sqlalchemy
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from app.administration import accounts
from app.api_keys import keys
from app.api_keys.models import ApiKey
from app.auth.email import change
from app.auth.mfa.totp import factor as totp
from app.auth.mfa.totp.models import TotpFactor
from app.auth.passkeys import keys as passkeys
from app.auth.passkeys.models import Passkey
from app.auth.sessions import sessions
from app.extensions import db
from app.models import OneTimeToken, OutboxMessage, Role, Session, User, UserRole
from app.security.one_time_tokens import Purpose
from app.security.passwords import hashing
from app.users import authority, profile
from tests.auth.passkeys.authenticator import Authenticator
from tests.auth.sessions.test_races import count, elsewhere, live_sessions
from tests.auth.sessions.test_sessions import claims_of
from tests.auth.test_mail_races import issue, logs_in, posting, resetting
from tests.conftest import IS_LONG_RUN
from tests.factories import API, PASSWORD, bearer, log_in, make_role, make_user, me, problem

pytestmark = pytest.mark.postgresql

BY_THE_VERB = "set by the verb, too late"
BY_THE_RESCUE = "set by the owner meanwhile"
OLD_HASH = bcrypt.hashpw(PASSWORD.encode(), bcrypt.gensalt(4)).decode()

SESSION_ENDED = {(401, "session_ended")}
NO_LOGIN = {(401, "invalid_credentials"), (400, "inactive_user")}
NO_LINK = {(400, "invalid_link")}


@dataclass
class Scene:
    """Ada, and a pair of tokens of hers that somebody uses. Bob, and a role that nobody has."""

    app: Flask
    ada: User
    pair: dict[str, Any]
    bob: User
    role: Role

    def call(self, method: str, path: str, **body: Any) -> TestResponse:
        headers = bearer(self.pair["access_token"])
        return self.app.test_client().open(API + path, method=method, json=body, headers=headers)

    def link(self, purpose: Purpose) -> str:
        return issue(self.app, self.ada, purpose)

    def other_session(self) -> UUID:
        """Of a device of ada's that is not the one with the pair."""
        log_in(self.app.test_client(), self.ada)
        with self.app.app_context():
            newest = sqlalchemy.select(Session.id).order_by(Session.created_at.desc()).limit(1)
            found: UUID = db.session.scalars(newest).one()
        return found


@dataclass(frozen=True)
class Verb:
    """What is asked for, the step after which it has yet to write, and how it is refused then."""

    prepare: Callable[[Scene], Callable[[], TestResponse]]
    last_step: tuple[Any, str]
    refusals: set[tuple[int, str]]
    is_of_superusers: bool = False


def logging_in(scene: Scene) -> Callable[[], TestResponse]:
    return posting(scene.app, "/auth/login", {"username": "ada", "password": PASSWORD})


def changing(scene: Scene) -> Callable[[], TestResponse]:
    body = {"current_password": PASSWORD, "new_password": BY_THE_VERB}
    return lambda: scene.call("POST", "/auth/password/change", **body)


def resetting_by(purpose: Purpose) -> Callable[[Scene], Callable[[], TestResponse]]:
    return lambda scene: resetting(scene.app, scene.link(purpose), BY_THE_VERB)


def own(method: str, path: str, last_step: tuple[Any, str], **body: Any) -> Verb:
    """A call that hashes nothing, so that the step is all that it does."""

    def prepare(scene: Scene) -> Callable[[], TestResponse]:
        places = {"bob": scene.bob.id, "role": scene.role.id}
        if "{other}" in path:
            places["other"] = scene.other_session()
        sent = body | ({"roles": [scene.role.id]} if "roles" in body else {})
        return lambda: scene.call(method, path.format(**places), **sent)

    return Verb(prepare, last_step, SESSION_ENDED)


def by_superuser(method: str, path: str, step: str = "lock_account", **body: Any) -> Verb:
    return replace(own(method, path, (authority, step), **body), is_of_superusers=True)


def confirming_an_app(scene: Scene) -> Callable[[], TestResponse]:
    secret = scene.call("POST", "/auth/factors/totp").json["secret"]
    return lambda: scene.call("POST", "/auth/factors/totp/confirm", otp=pyotp.TOTP(secret).now())


def adding_a_passkey(scene: Scene) -> Callable[[], TestResponse]:
    begun = scene.call("POST", "/auth/passkeys/options").json
    credential = Authenticator().create(begun["options"])
    return lambda: scene.call(
        "POST", "/auth/passkeys", ceremony=begun["ceremony"], credential=credential
    )


def replacing_a_key(scene: Scene) -> Callable[[], TestResponse]:
    made = scene.call("POST", "/auth/keys", name="Backup", scopes=["profile"]).json
    return lambda: scene.call("POST", f"/auth/keys/{made['id']}/rotate")


VERBS = {
    "a login": Verb(logging_in, (hashing, "verify"), NO_LOGIN),
    "a login that stores a hash of today": Verb(logging_in, (hashing, "hash"), NO_LOGIN),
    "a change of the password": Verb(changing, (hashing, "hash"), SESSION_ENDED),
    "the password once more": Verb(
        lambda scene: lambda: scene.call("POST", "/auth/reauthenticate", password=PASSWORD),
        (hashing, "verify"),
        SESSION_ENDED,
    ),
    "a change of address": Verb(
        lambda scene: lambda: scene.call("POST", "/auth/email/change", new_email="t@example.com"),
        (change, "ask"),
        SESSION_ENDED,
    ),
    "closing the account": Verb(
        lambda scene: lambda: scene.call("DELETE", "/users/me", password=PASSWORD),
        (hashing, "verify"),
        SESSION_ENDED,
    ),
    "editing oneself": own("PATCH", "/users/me", (profile, "edit"), username="renamed"),
    "signing out the other devices": own(
        "POST", "/auth/logout?scope=others", (sessions, "log_out")
    ),
    "signing out everywhere": own("POST", "/auth/logout?scope=global", (sessions, "log_out")),
    "signing out one device": own("DELETE", "/auth/sessions/{other}", (sessions, "end_one_of")),
    "an authenticator app": own("POST", "/auth/factors/totp", (totp, "begin")),
    "confirming an authenticator app": Verb(confirming_an_app, (totp, "confirm"), SESSION_ENDED),
    "adding a passkey": Verb(adding_a_passkey, (passkeys, "add"), SESSION_ENDED),
    "making a key": own(
        "POST", "/auth/keys", (keys, "make"), name="by the verb", scopes=["profile"]
    ),
    "replacing a key": Verb(replacing_a_key, (keys, "rotate"), SESSION_ENDED),
    "promoting": by_superuser("PATCH", "/users/{bob}", is_superuser=True),
    "editing another": by_superuser("PATCH", "/users/{bob}", username="renamed"),
    "deleting another": by_superuser("DELETE", "/users/{bob}"),
    "signing another out": by_superuser("DELETE", "/users/{bob}/sessions"),
    "sending a reset": by_superuser("POST", "/users/{bob}/password-reset"),
    "giving a role": by_superuser("PUT", "/users/{bob}/roles", roles=["{role}"]),
    "inviting": by_superuser(
        "POST", "/users", "lock_actor", email="new@example.com", username="renamed"
    ),
    "making a role": by_superuser("POST", "/roles", "lock_actor", name="renamed"),
    "editing a role": by_superuser("PATCH", "/roles/{role}", "lock_actor", name="renamed"),
    "deleting a role": by_superuser("DELETE", "/roles/{role}", "lock_actor"),
    "a reset": Verb(resetting_by(Purpose.PASSWORD_RESET), (hashing, "hash"), NO_LINK),
    "an invitation": Verb(resetting_by(Purpose.INVITATION), (hashing, "hash"), NO_LINK),
}


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


def operating(act: Callable[[Scene], None]) -> Callable[[Scene], Callable[[], None]]:
    def prepare(scene: Scene) -> Callable[[], None]:
        def acting() -> None:
            with scene.app.app_context():
                act(scene)

        return acting

    return prepare


RESCUES: dict[str, Callable[[Scene], Callable[[], TestResponse | None]]] = {
    "not-me": repudiating,
    "undo": undoing,
    "deactivate": operating(lambda scene: accounts.set_active("ada@example.com", False)),
    "reset": resetting_meanwhile,
    "erase": operating(lambda scene: accounts.delete(scene.ada.id, actor=None)),
}


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


@pytest.mark.parametrize("rescue", RESCUES if IS_LONG_RUN else ["not-me"])
@pytest.mark.parametrize("verb", VERBS)
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


@pytest.mark.parametrize("rescue", RESCUES if IS_LONG_RUN else ["not-me"])
@pytest.mark.parametrize("verb", VERBS)
def test_what_waits_for_a_rescue_to_commit_is_refused(
    app: Flask, scene: Scene, verb: str, rescue: str
) -> None:
    act, save = VERBS[verb].prepare(scene), RESCUES[rescue](scene)
    here, waiting, answers = threading.current_thread(), [], []
    takes_the_user = re.compile(r"UPDATE users SET|SELECT .*FROM users\s.*FOR UPDATE", re.DOTALL)

    def begin(*event: Any) -> None:
        if threading.current_thread() is here and not waiting and takes_the_user.match(event[2]):
            waiting.append(elsewhere(app, lambda: answers.append(act())))
            # It waits for this transaction to end.
            waiting[0].join(timeout=0.5)

    with app.app_context():
        engine = db.engine
    sqlalchemy.event.listen(engine, "after_cursor_execute", begin)
    try:
        saved = [save()]
    finally:
        sqlalchemy.event.remove(engine, "after_cursor_execute", begin)
    waiting[0].join()

    assert_rescued(app, saved, answers[0], verb, rescue)


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
    assert count(app, TotpFactor, TotpFactor.confirmed_at.is_not(None)) == 0
    assert count(app, Passkey) == 0
    assert count(app, ApiKey, ApiKey.name == "by the verb") == 0
    assert count(app, OutboxMessage, OutboxMessage.recipient == "bob@example.com") == 0


@pytest.mark.parametrize(
    "by",
    ["its own logout", "a global logout", "another device", "an administrator"]
    if IS_LONG_RUN
    else ["another device"],
)
@pytest.mark.parametrize("verb", [verb for verb in VERBS if VERBS[verb].refusals == SESSION_ENDED])
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
