"""The one gate: every way in, in every state of an account, and what is answered.

A new way in needs a row. The tests at the end find ways in that have none.
"""

import ast
from collections.abc import Callable, Iterator
from itertools import count
from typing import Any

import jwt
import pytest
import time_machine
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import func, select
from werkzeug.test import TestResponse

from app.access.proof import BESIDE_PASSWORD
from app.administration import accounts
from app.auth.mfa import methods
from app.auth.mfa.second_step import OTP_GRANT
from app.extensions import db
from app.models import Session, User
from app.security import one_time_tokens
from app.security.one_time_tokens import Purpose
from tests.auth.mfa.phone import Phone, enrol_with, give_password, go_on, ticket_of
from tests.auth.passkeys.authenticator import Authenticator
from tests.auth.passkeys.browser import log_in_with, options, register
from tests.auth.providers.acme import Acme, link_directly, offered, sign_in
from tests.factories import (
    API,
    PASSWORD,
    bearer,
    give_role,
    log_in,
    make_role,
    make_user,
    problem,
    refresh,
)
from tests.pages.person import Person
from tests.test_architecture import MODULES, Module

# What a state means stands at the functions below. A session is named by its level. The other
# answers are shortened: see WORDS.
TABLE = """
                     none   role   setting passkey step   off    unverified throttled guessed erased
login: password      aal1   aal1   aal1    aal1    step   off    unverified wait      step    step
login: otp           aal1   aal1   aal1    aal1    aal2   off    unverified wait      wait    aal2
login: recovery_code aal1   aal1   aal1    aal1    aal2   off    unverified wait      wait    aal2
login: device_token  aal1   aal1   aal1    aal1    aal2   off    unverified wait      aal2    step
login: a wrong otp   aal1   aal1   aal1    aal1    wrong  off    unverified wait      wait    wrong
cookie: password     aal1   aal1   aal1    aal1    step   off    unverified wait      step    step
cookie: device       aal1   aal1   aal1    aal1    aal2   off    unverified wait      aal2    step
cookie: mfa          ticket ticket ticket  ticket  aal2   ticket unverified aal2      wait    ticket
cookie: passkey      401    401    401     aal2    aal2   401    401        aal2      aal2    aal2
page: password       aal1   aal1   aal1    aal1    step   off    unverified wait      step    step
page: code           ticket ticket ticket  ticket  aal2   ticket unverified aal2      wait    ticket
form: password       aal1   aal1   aal1    aal1    step   off    unverified wait      step    step
form: otp            aal1   aal1   aal1    aal1    aal2   off    unverified wait      wait    aal2
token: password      aal1   aal1   aal1    aal1    step   grant  grant      wait      step    step
token: otp           aal1   aal1   aal1    aal1    aal2   grant  grant      wait      wait    aal2
token: device_token  aal1   aal1   aal1    aal1    aal2   grant  grant      wait      aal2    step
token: mfa-otp       grant  grant  grant   grant   aal2   grant  grant      aal2      wait    grant
mfa: otp             ticket ticket ticket  ticket  aal2   ticket unverified aal2      wait    ticket
mfa: recovery_code   ticket ticket ticket  ticket  aal2   ticket unverified aal2      wait    ticket
mfa: passkey         ticket ticket ticket  ticket  aal2   ticket unverified aal2      wait    ticket
passkeys/login       401    401    401     aal2    aal2   401    401        aal2      aal2    aal2
page: provider       aal1   aal1   aal1    aal1    step   off    unverified step      step    step
providers/id-token   aal1   aal1   aal1    aal1    step   off    unverified step      step    step
password/reset       done   done   done    done    done   link   done       done      done    done
invitation           done   done   done    done    done   link   done       done      done    done
email/verify         done   done   done    done    done   link   done       done      done    done
refresh              aal1   aal1   aal1    aal1    aal2   401r   aal2       aal2      aal2    401r
"""
WORDS = {
    (403, "mfa_required"): "step",
    (403, "wrong_factor"): "wrong",
    (400, "inactive_user"): "off",
    (403, "email_not_verified"): "unverified",
    (429, "rate_limited"): "wait",
    (400, "invalid_grant"): "grant",
    (400, "invalid_link"): "link",
    (400, "mfa_ticket_invalid"): "ticket",
    (401, "invalid_credentials"): "401",
    (401, "invalid_refresh_token"): "401r",
}
HEADING, *LINES = TABLE.strip("\n").splitlines()
STATES = HEADING.split()
WIDTH = len(HEADING) - len(HEADING.lstrip())
ROWS = {
    line[:WIDTH].strip(): dict(zip(STATES, line[WIDTH:].split(), strict=True)) for line in LINES
}
# Calls that change what an account needs for a login. They never begin a session.
NO_WAY_IN = ("password/reset", "invitation", "email/verify")

NETWORKS = count(1)


class Account:
    """A user of one cell of the table, and what this user holds."""

    def __init__(self, app: Flask, number: int, acme: Acme, *, verified: bool) -> None:
        self.app, self.acme = app, acme
        self.client = app.test_client()
        # A network of its own, so that the limits of one cell do not reach the next.
        network = next(NETWORKS)
        self.client.environ_base["REMOTE_ADDR"] = f"10.{network // 250}.{network % 250}.1"
        self.user = make_user(
            app,
            username=f"user{number}",
            email=f"user{number}@example.com",
            email_verified=verified,
        )
        link_directly(app, self.user, str(self.user.id))
        # It begins before the state.
        self.pair = log_in(self.client, self.user)
        self.first_refresh_token = self.pair["refresh_token"]
        self.authenticator = Authenticator()
        # These are garbage unless the state gives better ones.
        self.phone = Phone("A" * 32, ["0000-0000-0000-0000"], "")
        self.ticket = self.device_token = "garbage"
        self.assertion: dict[str, Any] = {"ceremony": "garbage", "credential": {"id": "AA"}}

    def add_passkey(self) -> None:
        added = register(self.client, self.pair["access_token"], self.authenticator)
        assert added.status_code == 201, added.text

    def add_everything(self) -> None:
        """A passkey, an authenticator app, recovery codes, a device, and a login that waits."""
        headers = bearer(self.pair["access_token"])
        self.add_passkey()
        self.phone = enrol_with(self.client, self.pair["access_token"])
        made = self.client.post(f"{API}/auth/factors/recovery-codes", headers=headers)
        self.phone.recovery_codes = made.json["recovery_codes"]
        ticket = ticket_of(self.client, self.user)
        code = self.phone.recovery_codes.pop()
        answer = go_on(self.client, ticket, recovery_code=code, remember_device=True)
        self.pair, self.device_token = answer.json, answer.json["device_token"]
        self.ticket = ticket_of(self.client, self.user)
        begun = options(self.client, "mfa/passkey-options", mfa_token=self.ticket)
        self.assertion = {
            "ceremony": begun["ceremony"],
            "credential": self.authenticator.get(begun["options"]),
        }

    def count_sessions(self) -> int:
        with self.app.app_context():
            mine = select(func.count()).where(Session.user_id == self.user.id)
            return db.session.scalar(mine.where(Session.ended_at.is_(None))) or 0


State = Callable[[Account, Callable[..., None]], None]


# The states


def none(account: Account, set_settings: Callable[..., None]) -> None:
    """No factor."""


def role(account: Account, set_settings: Callable[..., None]) -> None:
    """A role demands a factor, and there is none. The session has no permission of the role."""
    demanding = make_role(account.app, f"role of {account.user.username}", "users:read")
    with account.app.app_context():
        db.session.merge(demanding).require_mfa = True
        db.session.commit()
    give_role(account.app, account.user, demanding)


def setting(account: Account, set_settings: Callable[..., None]) -> None:
    """MFA_REQUIRED demands one, and there is none. The session reaches the calls on factors."""
    set_settings(mfa_required="all")


def passkey(account: Account, set_settings: Callable[..., None]) -> None:
    """A passkey, and the second step is not on."""
    account.add_passkey()


def step(account: Account, set_settings: Callable[..., None]) -> None:
    """The second step is on, and every factor is there."""
    account.add_everything()


def off(account: Account, set_settings: Callable[..., None]) -> None:
    """The same, and then the account was deactivated."""
    account.add_everything()
    with account.app.app_context():
        accounts.set_active(account.user.email, False)


def unverified(account: Account, set_settings: Callable[..., None]) -> None:
    """The same, and then REQUIRE_VERIFIED_EMAIL was set. Nobody has confirmed the address."""
    account.add_everything()
    set_settings(require_verified_email=True)


def throttled(account: Account, set_settings: Callable[..., None]) -> None:
    """The same, and then five wrong passwords came from this network."""
    account.add_everything()
    set_settings(ratelimit_enabled=True)
    for _ in range(5):
        wrong = {"username": account.user.username, "password": "wrong"}
        answer = account.client.post(f"{API}/auth/login", json=wrong)
        assert problem(answer) == (401, "invalid_credentials")


def guessed(account: Account, set_settings: Callable[..., None]) -> None:
    """The same, and then five wrong codes came from this network."""
    account.add_everything()
    set_settings(ratelimit_enabled=True)
    for _ in range(5):
        answer = give_password(account.client, account.user, otp="000000")
        assert problem(answer) == (403, "wrong_factor")


def erased(account: Account, set_settings: Callable[..., None]) -> None:
    """The same, and then the owner asked for the deletion of the account. A login cancels it."""
    account.add_everything()
    answer = account.client.delete(
        f"{API}/users/me",
        json={"password": PASSWORD},
        headers=bearer(account.pair["access_token"]),
    )
    assert answer.status_code == 202, answer.text


STATE_OF: dict[str, State] = {
    state.__name__: state
    for state in (
        none,
        role,
        setting,
        passkey,
        step,
        off,
        unverified,
        throttled,
        guessed,
        erased,
    )
}


# The ways in


def by_json(account: Account, **beside: str) -> TestResponse:
    return give_password(account.client, account.user, **beside)


def by_form(account: Account, **beside: str) -> TestResponse:
    form = {"username": account.user.email, "password": PASSWORD, **beside}
    return account.client.post(f"{API}/auth/login", data=form)


def by_token(account: Account, **beside: str) -> TestResponse:
    form = {"username": account.user.email, "password": PASSWORD, **beside}
    return account.client.post(f"{API}/auth/token", data={"grant_type": "password", **form})


def by_grant(account: Account) -> TestResponse:
    form = {"mfa_token": account.ticket, "otp": account.phone.code()}
    return account.client.post(f"{API}/auth/token", data={"grant_type": OTP_GRANT, **form})


def by_link(account: Account, call: str, purpose: Purpose, **body: str) -> TestResponse:
    with account.app.app_context():
        token = one_time_tokens.issue(account.user.id, purpose, email=account.user.email)
        db.session.commit()
    return account.client.post(f"{API}/auth/{call}", json={"token": token, **body})


def by_cookie(account: Account, call: str = "login", **body: Any) -> TestResponse:
    """Ask for a cookie in place of tokens, as a page of our own origin does."""
    if call == "login":
        body |= {"username": account.user.username, "password": PASSWORD}
    headers = {"Sec-Fetch-Site": "same-origin"}
    path = f"{API}/auth/{call}?cookie=true"
    return account.client.post(path, json=body, headers=headers)


def by_cookie_of_device(account: Account) -> TestResponse:
    account.client.set_cookie("__Host-device", account.device_token)
    return by_cookie(account)


def by_cookie_with_passkey(account: Account) -> TestResponse:
    begun = options(account.client, "passkeys/login-options")
    credential = account.authenticator.get(begun["options"])
    ceremony = begun["ceremony"]
    return by_cookie(account, "passkeys/login", ceremony=ceremony, credential=credential)


def at_page(account: Account) -> Person:
    """The same client, which opens pages."""
    person = Person(account.app)
    person.client.environ_base["REMOTE_ADDR"] = account.client.environ_base["REMOTE_ADDR"]
    return person


def by_page(account: Account) -> TestResponse:
    person = at_page(account)
    page = person.open("/account/login")
    return person.send(page, username=account.user.username, password=PASSWORD).answer


def by_page_with_code(account: Account) -> TestResponse:
    person = at_page(account)
    data = {"csrf_token": person.open("/account/login").form().fields["csrf_token"]}
    person.client.set_cookie("__Host-ticket", account.ticket)
    data["otp"] = account.phone.code()
    return person.ask("POST", "/account/second-step", data=data)


def by_provider(account: Account) -> TestResponse:
    return sign_in(at_page(account), account.acme, str(account.user.id))


def by_id_token(account: Account) -> TestResponse:
    nonce = account.client.post(f"{API}/auth/providers/acme/nonce", json={}).json["nonce"]
    body = {
        "id_token": account.acme.id_token(sub=str(account.user.id), nonce=nonce),
        "nonce": nonce,
    }
    return account.client.post(f"{API}/auth/providers/acme/id-token", json=body)


NEW = {"new_password": "another horse battery staple"}
WAYS: dict[str, Callable[[Account], TestResponse]] = {
    "login: password": by_json,
    "login: otp": lambda one: by_json(one, otp=one.phone.code()),
    "login: recovery_code": lambda one: by_json(one, recovery_code=one.phone.recovery_codes[0]),
    "login: device_token": lambda one: by_json(one, device_token=one.device_token),
    "login: a wrong otp": lambda one: by_json(one, otp="000000"),
    "cookie: password": by_cookie,
    "cookie: device": by_cookie_of_device,
    "cookie: mfa": lambda one: by_cookie(one, "mfa", mfa_token=one.ticket, otp=one.phone.code()),
    "cookie: passkey": by_cookie_with_passkey,
    "page: password": by_page,
    "page: code": by_page_with_code,
    "form: password": by_form,
    "form: otp": lambda one: by_form(one, otp=one.phone.code()),
    "token: password": by_token,
    "token: otp": lambda one: by_token(one, otp=one.phone.code()),
    "token: device_token": lambda one: by_token(one, device_token=one.device_token),
    "token: mfa-otp": by_grant,
    "mfa: otp": lambda one: go_on(one.client, one.ticket, otp=one.phone.code()),
    "mfa: recovery_code": lambda one: go_on(
        one.client, one.ticket, recovery_code=one.phone.recovery_codes[0]
    ),
    "mfa: passkey": lambda one: go_on(one.client, one.ticket, **one.assertion),
    "passkeys/login": lambda one: log_in_with(one.client, one.authenticator),
    "page: provider": by_provider,
    "providers/id-token": by_id_token,
    "password/reset": lambda one: by_link(one, "password/reset", Purpose.PASSWORD_RESET, **NEW),
    "invitation": lambda one: by_link(one, "password/reset", Purpose.INVITATION, **NEW),
    "email/verify": lambda one: by_link(one, "email/verify", Purpose.EMAIL_VERIFICATION),
    "refresh": lambda one: refresh(one.client, one.first_refresh_token),
}


def outcome(account: Account, way: str) -> str:
    """What the table says of a way in: the level of a new session, or a refusal."""
    sessions = account.count_sessions()
    answer = WAYS[way](account)
    begun = account.count_sessions() - sessions
    if way.startswith("page: "):
        return shown_at_page(account, answer, begun)
    if answer.status_code == 204:
        assert begun <= 0
        assert not answer.data
        return "done"
    if answer.status_code == 200:
        assert begun == (0 if way == "refresh" else 1)
        if way.startswith("cookie: "):
            return level_of_cookie(account, answer)
        return acr_of(answer.json["access_token"])
    assert "Set-Cookie" not in answer.headers
    assert begun <= 0, answer.text
    return WORDS.get(problem(answer)) or str(problem(answer))


# Where a page leads that begins no session, and what one says that refuses.
LEADS = {"/account/second-step": "step", "/account/login": "ticket"}
SAYS = {"This account is deactivated.": "off", "Confirm your email address": "unverified"}


def shown_at_page(account: Account, answer: TestResponse, begun: int) -> str:
    if answer.headers.get("Location") == "/account":
        assert begun == 1
        with account.app.app_context():
            mine = select(Session.aal).where(Session.user_id == account.user.id)
            return f"aal{db.session.scalar(mine.where(Session.cookie_hash.is_not(None)))}"
    assert begun <= 0
    if answer.status_code == 303:
        return LEADS[answer.headers["Location"]]
    if answer.status_code == 429:
        return "wait"
    # What a form refuses is 422, and a provider has no form.
    assert answer.status_code in (422, 400, 403)
    [word] = [word for sentence, word in SAYS.items() if sentence in answer.text]
    return word


def level_of_cookie(account: Account, answer: TestResponse) -> str:
    """The level of the session that the client's cookie opens. The answer has no token."""
    assert list(answer.json) == ["session"]
    current = account.client.get(f"{API}/auth/sessions/current").json
    assert (current["kind"], current["id"]) == ("cookie", answer.json["session"]["id"])
    return f"aal{current['aal']}"


def acr_of(access_token: str) -> str:
    claims = jwt.decode(access_token, options={"verify_signature": False})
    return str(claims["acr"])


@pytest.fixture
def acme(app: Flask) -> Iterator[Acme]:
    """A provider at which each account has an identity."""
    with offered(app) as provider:
        yield provider


@pytest.fixture(autouse=True)
def still() -> Any:
    """The clock stands still, in the middle of a time step of the codes."""
    with time_machine.travel("2026-11-27T12:00:15Z", tick=False) as traveller:
        yield traveller


@pytest.mark.parametrize("state", STATES)
def test_the_gate(app: Flask, acme: Acme, set_settings: Callable[..., None], state: str) -> None:
    settings = app.config["SETTINGS"]
    found = {}
    for number, way in enumerate(WAYS):
        app.config["SETTINGS"] = settings
        account = Account(app, number, acme, verified=state != "unverified")
        STATE_OF[state](account, set_settings)

        found[way] = outcome(account, way)

    assert found == {way: row[state] for way, row in ROWS.items()}


@pytest.mark.parametrize("way", ["login: otp", "passkeys/login"])
def test_a_login_cancels_a_deletion_and_a_refused_one_does_not(
    app: Flask, acme: Acme, set_settings: Callable[..., None], way: str
) -> None:
    account = Account(app, 1, acme, verified=True)
    erased(account, set_settings)

    def is_due() -> bool:
        with app.app_context():
            return db.session.get_one(User, account.user.id).deletion_due_at is not None

    assert outcome(account, "login: password") == "step"
    assert is_due()
    assert outcome(account, way) == "aal2"
    assert not is_due()


def test_a_refresh_keeps_the_level(app: Flask, acme: Acme) -> None:
    """The session began before the second step was switched on, and goes on below it."""
    account = Account(app, 1, acme, verified=True)
    account.add_passkey()
    headers = bearer(account.pair["access_token"])
    switch = {"enabled": True}
    answer = account.client.put(f"{API}/auth/factors/second-step", json=switch, headers=headers)
    assert answer.status_code == 200, answer.text

    assert outcome(account, "refresh") == "aal1"


# A way in without a row


def test_the_table_has_every_way_and_every_state() -> None:
    assert list(ROWS) == list(WAYS)
    assert list(STATE_OF) == STATES


def test_every_second_proof_has_rows(app: Flask) -> None:
    with app.app_context():
        names = {method.name for method in methods.declared()}
    ways = {f"mfa: {name}" for name in names - {"totp"}} | {"mfa: otp"}
    ways |= {f"login: {name}" for name in BESIDE_PASSWORD}

    assert ways <= ROWS.keys()


def test_every_grant_of_a_feature_has_a_row(app: Flask) -> None:
    grants = [grant for feature in app.extensions["features"] for grant in feature.grants]

    assert grants == [OTP_GRANT]
    assert "token: mfa-otp" in ROWS


# The calls that answer with tokens. Those of the first part begin sessions, and have rows.
GIVING_TOKENS = {
    "auth/login",
    "auth/token",
    "auth/mfa",
    "auth/passkeys/login",
    "auth/providers/{name}/id-token",
    # These go on with a session that is there.
    "auth/refresh",
    "auth/password/change",
}


def test_every_call_that_answers_with_tokens_is_known(client: FlaskClient) -> None:
    document = client.get("/openapi.json").json
    found = {
        path.removeprefix(f"{API}/")
        for path, methods_of_path in document["paths"].items()
        for method, operation in methods_of_path.items()
        if method != "parameters" and "/Token" in str(operation["responses"].get("200"))
    }

    assert found == GIVING_TOKENS


# Who calls the gate, and the beginnings of the rows that are about it.
CALLERS = {
    "app.pages.sign_in.login.log_in": ("page: password",),
    "app.auth.login.routes.login": (
        "login:",
        "form:",
        "cookie: password",
        "cookie: otp",
        "cookie: device",
    ),
    "app.auth.oauth.oauth.token": ("token:",),
    "app.auth.mfa.second_step.go_on": ("mfa:", "page: code", "token: mfa-otp", "cookie: mfa"),
    "app.auth.passkeys.proving.log_in": ("passkeys/login", "cookie: passkey"),
    # New accounts, and those that are linked at this moment, have tests of their own as well.
    "app.auth.providers.signing_in.start": ("page: provider", "providers/id-token"),
}
GATE = "app.auth.login.login.start"


def test_the_callers_of_the_gate_have_rows() -> None:
    found = {name for module in MODULES.values() for name in functions_that_name(module, GATE)}

    assert found == CALLERS.keys()
    begun = [way for way in ROWS if way not in (*NO_WAY_IN, "refresh")]
    for beginnings in CALLERS.values():
        assert any(way.startswith(beginnings) for way in begun)
    assert all(any(way.startswith(each) for each in CALLERS.values()) for way in begun)


def test_only_the_gate_makes_sessions() -> None:
    """No other function inserts into the table, or makes an object of it."""
    found = {
        f"{module.name}:{ast.unparse(node.func)}"
        for module in MODULES.values()
        if "app.models.Session" in module.imported
        for node in ast.walk(module.tree)
        if isinstance(node, ast.Call) and makes_session(node)
    }

    assert found == {
        "app.auth.login.login:insert",
        "app.auth.login.login:detached",
        # A request with an API key has an object like that of a session, which is in no table.
        "app.api_keys.opening:detached",
    }


def makes_session(call: ast.Call) -> bool:
    """``Session(…)``, ``insert(Session)``, ``detached(Session, …)`` and the like."""
    name = ast.unparse(call.func)
    makers = ("insert", "detached", "merge", "add", "bulk_insert_mappings")
    is_given = any(isinstance(arg, ast.Name) and arg.id == "Session" for arg in call.args)
    return name == "Session" or (name.split(".")[-1] in makers and is_given)


def functions_that_name(module: Module, wanted: str) -> list[str]:
    """The functions of a module that use something, by whatever name it was imported."""
    real = {
        alias.asname or alias.name: f"{node.module}.{alias.name}"
        for node in ast.walk(module.tree)
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }

    def is_wanted(node: ast.AST) -> bool:
        if not isinstance(node, ast.Attribute | ast.Name):
            return False
        root, _, rest = ast.unparse(node).partition(".")
        return f"{real.get(root, root)}{'.' if rest else ''}{rest}" == wanted

    return [
        f"{module.name}.{getattr(part, 'name', 'the module')}"
        for part in module.tree.body
        if not isinstance(part, ast.Import | ast.ImportFrom)
        and any(is_wanted(node) for node in ast.walk(part))
    ]
