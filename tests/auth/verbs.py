"""The calls that read an account and write: what is asked for, and when it has yet to write."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import bcrypt
import pyotp
import sqlalchemy
from flask import Flask
from werkzeug.test import TestResponse

from app import clock
from app.api_keys import ending as keys_ending
from app.api_keys import keys
from app.auth.email import change, verification
from app.auth.mfa import factors, second_step, tickets
from app.auth.mfa.recovery_codes import codes as recovery_codes
from app.auth.mfa.remembered_devices import devices as remembered
from app.auth.mfa.totp import factor as totp
from app.auth.mfa.totp.models import TotpFactor
from app.auth.passkeys import keys as passkeys
from app.auth.passkeys import verification as passkey_verification
from app.auth.providers import identities
from app.auth.providers.models import Identity
from app.auth.sessions import sessions
from app.extensions import db
from app.models import Role, Session, User
from app.security import key_ring
from app.security.one_time_tokens import Purpose
from app.security.passwords import hashing
from app.users import authority, profile
from tests.auth.mfa.phone import ticket_of
from tests.auth.passkeys.authenticator import Authenticator
from tests.auth.passkeys.browser import options, register
from tests.auth.providers.acme import link_directly
from tests.auth.test_mail_races import issue, posting, resetting
from tests.factories import API, PASSWORD, bearer, log_in

BY_THE_VERB = "set by the verb, too late"
BY_THE_RESCUE = "set by the owner meanwhile"
OLD_HASH = bcrypt.hashpw(PASSWORD.encode(), bcrypt.gensalt(4)).decode()

SESSION_ENDED = {(401, "session_ended")}
NO_LOGIN = {(401, "invalid_credentials"), (400, "inactive_user")}
NO_LINK = {(400, "invalid_link")}
NO_TICKET = {(400, "mfa_ticket_invalid")}


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
    """What is asked for, the step after which it has yet to write, and how it is refused then.

    ``is_one_step``: it does nothing before it waits for the user.
    """

    prepare: Callable[[Scene], Callable[[], TestResponse]]
    last_step: tuple[Any, str]
    refusals: set[tuple[int, str]]
    is_one_step: bool = False
    is_of_superusers: bool = False


def logging_in(scene: Scene) -> Callable[[], TestResponse]:
    return posting(scene.app, "/auth/login", {"username": "ada", "password": PASSWORD})


def changing(scene: Scene) -> Callable[[], TestResponse]:
    body = {"current_password": PASSWORD, "new_password": BY_THE_VERB}
    return lambda: scene.call("POST", "/auth/password/change", **body)


def by_link(path: str, purpose: Purpose) -> Callable[[Scene], Callable[[], TestResponse]]:
    return lambda scene: posting(scene.app, path, {"token": scene.link(purpose)})


def resetting_by(purpose: Purpose) -> Callable[[Scene], Callable[[], TestResponse]]:
    return lambda scene: resetting(scene.app, scene.link(purpose), BY_THE_VERB)


# What has to be there before: the place in the path → what makes it, and gives its id.
THERE: dict[str, Callable[[Scene], Any]] = {
    "other": lambda scene: scene.other_session(),
    "passkey": lambda scene: added_passkey(scene, Authenticator()),
    "key": lambda scene: made_key(scene),
    "identity": lambda scene: linked_identity(scene),
    "nothing": lambda _scene: uuid4(),
}


def own(
    method: str, path: str, last_step: tuple[Any, str], *, has_app: bool = False, **body: Any
) -> Verb:
    """A call that hashes nothing, so that the step is all that it does."""

    def prepare(scene: Scene) -> Callable[[], TestResponse]:
        places = {"bob": scene.bob.id, "role": scene.role.id}
        places |= {name: make(scene) for name, make in THERE.items() if f"{{{name}}}" in path}
        if has_app:
            give_app(scene)
        sent = body | ({"roles": [scene.role.id]} if "roles" in body else {})
        return lambda: scene.call(method, path.format(**places), **sent)

    return Verb(prepare, last_step, SESSION_ENDED, is_one_step=True)


def by_superuser(method: str, path: str, step: str = "lock_account", **body: Any) -> Verb:
    return replace(own(method, path, (authority, step), **body), is_of_superusers=True)


def confirming_an_app(scene: Scene) -> Callable[[], TestResponse]:
    secret = scene.call("POST", "/auth/factors/totp").json["secret"]
    return lambda: scene.call("POST", "/auth/factors/totp/confirm", otp=pyotp.TOTP(secret).now())


def adding_a_passkey(scene: Scene) -> Callable[[], TestResponse]:
    begun = scene.call("POST", "/auth/passkeys/options").json
    sent = {
        "ceremony": begun["ceremony"],
        "credential": Authenticator().create(begun["options"]),
        "name": "by the verb",
    }
    return lambda: scene.call("POST", "/auth/passkeys", **sent)


def added_passkey(scene: Scene, authenticator: Authenticator) -> str:
    made = register(scene.app.test_client(), scene.pair["access_token"], authenticator)
    passkey_id: str = made.json["passkey"]["id"]
    return passkey_id


def made_key(scene: Scene) -> str:
    made = scene.call("POST", "/auth/keys", name="Old", scopes=["profile"])
    key_id: str = made.json["id"]
    return key_id


def linked_identity(scene: Scene) -> int:
    link_directly(scene.app, scene.ada)
    with scene.app.app_context():
        return db.session.scalars(sqlalchemy.select(Identity.id)).one()


def give_app(scene: Scene, *, second_step: bool = False) -> str:
    """An authenticator app that a rescue leaves, because it is older. Returns its secret."""
    secret, added_at = pyotp.random_base32(), clock.now() - timedelta(days=8)
    with scene.app.app_context():
        sealed = key_ring.seal(secret, row=totp.row_of(scene.ada.id))
        db.session.add(
            TotpFactor(
                user_id=scene.ada.id,
                sealed_secret=sealed.text,
                key_id=sealed.key_id,
                created_at=added_at,
                confirmed_at=added_at,
            )
        )
        if second_step:
            db.session.execute(
                sqlalchemy.update(User)
                .where(User.id == scene.ada.id)
                .values(second_step_at=added_at)
            )
        db.session.commit()
    return secret


def going_on_with_a_ticket(scene: Scene) -> Callable[[], TestResponse]:
    secret = give_app(scene, second_step=True)
    ticket = ticket_of(scene.app.test_client(), scene.ada)
    body = {"mfa_token": ticket, "otp": pyotp.TOTP(secret).now()}
    return posting(scene.app, "/auth/mfa", body)


def logging_in_with_a_passkey(scene: Scene) -> Callable[[], TestResponse]:
    authenticator, browser = Authenticator(), scene.app.test_client()
    added_passkey(scene, authenticator)
    begun = options(browser, "passkeys/login-options")
    credential = authenticator.get(begun["options"])
    body = {"ceremony": begun["ceremony"], "credential": credential}
    return posting(scene.app, "/auth/passkeys/login", body)


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
    "a login with a passkey": Verb(
        logging_in_with_a_passkey, (passkey_verification, "asserted"), NO_LOGIN
    ),
    "a login with a second step": Verb(
        going_on_with_a_ticket, (tickets, "lock_owner"), NO_TICKET | NO_LOGIN
    ),
    "a code once more": own(
        "POST", "/auth/reauthenticate", (second_step, "count_try"), has_app=True, otp="000000"
    ),
    "an authenticator app": own("POST", "/auth/factors/totp", (totp, "begin")),
    "confirming an authenticator app": Verb(confirming_an_app, (totp, "confirm"), SESSION_ENDED),
    "removing an authenticator app": own(
        "DELETE", "/auth/factors/totp", (totp, "remove"), has_app=True
    ),
    "switching the second step on": own(
        "PUT", "/auth/factors/second-step", (factors, "switch"), has_app=True, enabled=True
    ),
    "new recovery codes": own(
        "POST", "/auth/factors/recovery-codes", (recovery_codes, "make_anew"), has_app=True
    ),
    "forgetting a remembered device": own(
        "DELETE", "/auth/remembered-devices/{nothing}", (remembered, "forget")
    ),
    "forgetting all remembered devices": own(
        "DELETE", "/auth/remembered-devices", (remembered, "forget_all")
    ),
    "the options of a passkey": own("POST", "/auth/passkeys/options", (passkeys, "begin")),
    "adding a passkey": Verb(adding_a_passkey, (passkeys, "add"), SESSION_ENDED),
    "renaming a passkey": own(
        "PATCH", "/auth/passkeys/{passkey}", (passkeys, "rename"), name="by the verb"
    ),
    "removing a passkey": own("DELETE", "/auth/passkeys/{passkey}", (passkeys, "remove")),
    "unlinking an identity": own("DELETE", "/auth/identities/{identity}", (identities, "unlink")),
    "making a key": own(
        "POST", "/auth/keys", (keys, "make"), name="by the verb", scopes=["profile"]
    ),
    "replacing a key": own("POST", "/auth/keys/{key}/rotate", (keys, "rotate")),
    "renaming a key": own("PATCH", "/auth/keys/{key}", (keys, "edit"), name="by the verb"),
    "revoking a key": own("DELETE", "/auth/keys/{key}", (keys_ending, "revoke")),
    "promoting": by_superuser("PATCH", "/users/{bob}", is_superuser=True),
    "editing another": by_superuser("PATCH", "/users/{bob}", username="renamed"),
    "deleting another": by_superuser("DELETE", "/users/{bob}"),
    "signing another out": by_superuser("DELETE", "/users/{bob}/sessions"),
    "sending a reset": by_superuser("POST", "/users/{bob}/password-reset"),
    "resetting the factors of another": by_superuser("DELETE", "/users/{bob}/factors"),
    "revoking a key of another": by_superuser("DELETE", "/users/{bob}/keys/{nothing}"),
    "giving a role": by_superuser("PUT", "/users/{bob}/roles", roles=["{role}"]),
    "inviting": by_superuser(
        "POST", "/users", "lock_actor", email="new@example.com", username="renamed"
    ),
    "making a role": by_superuser("POST", "/roles", "lock_actor", name="renamed"),
    "editing a role": by_superuser("PATCH", "/roles/{role}", "lock_actor", name="renamed"),
    "deleting a role": by_superuser("DELETE", "/roles/{role}", "lock_actor"),
    "confirming a change of address": Verb(
        by_link("/auth/email/change/confirm", Purpose.EMAIL_CHANGE), (change, "_move"), NO_LINK
    ),
    "confirming the address": Verb(
        by_link("/auth/email/verify", Purpose.EMAIL_VERIFICATION),
        (verification, "change"),
        NO_LINK,
    ),
    "a reset": Verb(resetting_by(Purpose.PASSWORD_RESET), (hashing, "hash"), NO_LINK),
    "an invitation": Verb(resetting_by(Purpose.INVITATION), (hashing, "hash"), NO_LINK),
}
