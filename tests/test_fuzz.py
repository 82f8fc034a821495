"""The API against the OpenAPI document that it writes of itself: schemathesis, all checks.

What the document allows must be accepted, what it forbids refused, and every answer
must be one that it names: status, media type, schema and headers. No input, however
strange, may be answered with a 5xx.
"""

import os
import random
import re
import string
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import chain
from typing import Any

import pytest
import schemathesis
from flask import Flask
from hypothesis import strategies as st
from schemathesis import AuthContext, Case, Response
from schemathesis.engine import from_schema
from schemathesis.engine.events import EngineEvent, FatalError, NonFatalError, ScenarioFinished
from schemathesis.transport.wsgi import WSGITransport

from app.access import permissions, scopes
from app.models import User
from docs.write_refusals import operations
from tests.factories import API, PASSWORD, bearer, me

LETTERS = string.ascii_lowercase
NAMES = LETTERS + string.digits + "éß密Ω '-"


def text_of(alphabet: str, *lengths: int) -> st.SearchStrategy[str]:
    """Schemathesis asks for the bounds exactly, and would look for them long among all lengths."""
    return st.sampled_from(lengths).flatmap(lambda n: st.text(alphabet, min_size=n, max_size=n))


# JSON Schema cannot say these rules, so the document names a format, and this is what it means.
FORMATS = {
    "username": text_of(LETTERS + string.digits, 2, 3, 20, 48, 49).map("x{}".format),
    "email": text_of(LETTERS, 20).map("{}@example.org".format)
    | text_of(LETTERS, 58, 59).map(
        lambda label: f"{label[:20]:x<64}@{'b' * 62}.{'b' * 62}.{label}.org"
    ),
    "password": text_of(NAMES + '"\\😀', 8, 9, 20, 99, 100),
    "display-name": text_of(NAMES, 0, 1, 20, 99, 100),
    "line": text_of(NAMES, 0, 1, 19, 98, 99).map("x{}".format),
    "permission": st.sampled_from([one.name for one in permissions.declared()]),
    "scope": st.sampled_from([one.name for one in scopes.known()]),
    "network": st.sampled_from(["203.0.113.0/24", "203.0.113.7", "2001:db8::/32", "::1"]),
    # Of all addresses, those of the web.
    "uri": text_of(LETTERS, 10, 485, 486).map("https://x.org/{}".format),
}

# A taken address or name is a matter of what is stored already, not of the request's form.
TAKEN_IS_POSSIBLE = {"positive_data_acceptance": {"expected-statuses": ["2xx", "400"]}}
# Nor which state of a thing its reader has seen, and what is deleted may not be there.
TAGS_ARE_GUESSED = {"positive_data_acceptance": {"expected-statuses": ["2xx", "304", "404", "412"]}}
TAKEN_OR_TAG_IS_GUESSED = {"positive_data_acceptance": {"expected-statuses": ["2xx", "400", "412"]}}
# A key may have been sent with another body before.
KEYS_ARE_REPEATED = {
    "positive_data_acceptance": {"expected-statuses": ["2xx", "400", "409", "422"]}
}
# Nor what the roles of the user permit.
RIGHTS_ARE_GUESSED = {
    "positive_data_acceptance": {"expected-statuses": ["2xx", "400", "403", "409", "422"]}
}
# To JSON Schema, 38.0 is an integer.
KEYS_ARE_GUESSED = {"positive_data_acceptance": {"expected-statuses": ["2xx", "404", "422"]}}
# OAuth 2 answers a wrong password, and a field that its grant type lacks, with 400.
REFUSALS_ARE_400 = {"positive_data_acceptance": {"expected-statuses": ["2xx", "400"]}}
# Nobody can guess the token of a mail.
LINKS_ARE_GUESSED = {"positive_data_acceptance": {"expected-statuses": ["400"]}}
# Nor the password that is asked for once more.
PASSWORD_IS_GUESSED = {"positive_data_acceptance": {"expected-statuses": ["403"]}}
PASSWORD_OR_TAG_IS_GUESSED = {"positive_data_acceptance": {"expected-statuses": ["403", "412"]}}
# Nor a ceremony, where a passkey may stand for the password.
PROOF_IS_GUESSED = {"positive_data_acceptance": {"expected-statuses": ["400", "403"]}}
# Nor what a passkey answers to a ceremony, which may be one that was begun. A cookie is given to
# pages of our own alone, and the requests do not come from one.
PASSKEY_IS_GUESSED = {"positive_data_acceptance": {"expected-statuses": ["400", "401", "403"]}}
# Nor a cursor, which is signed.
CURSORS_ARE_GUESSED = {"positive_data_acceptance": {"expected-statuses": ["2xx", "422"]}}
# What happened to somebody can be read when they are gone.
OUTLIVES_ITS_SUBJECT = {"use_after_free": {"enabled": False}}
# Nor which roles there are.
ROLES_ARE_GUESSED = {"positive_data_acceptance": {"expected-statuses": ["2xx", "404", "422"]}}
# What is edited may not be there, and a name may be taken. One user is replaced: see `set` below.
TAKEN_OR_NOT_THERE = {
    "positive_data_acceptance": {"expected-statuses": ["2xx", "400", "404", "412"]},
    "ensure_resource_availability": {"enabled": False},
}
# With an access token, the body of a logout is ignored.
BODY_IS_IGNORED = {"negative_data_rejection": {"expected-statuses": ["204", "401", "422"]}}

# `make fuzz` asks for many random cases as well. Otherwise these are the examples of the document
# and, of each field, every boundary and every kind of wrong value.
IS_LONG = os.environ.get("HYPOTHESIS_PROFILE") == "long"
EXAMPLES = 100 if IS_LONG else 10

CONFIGURATION = {
    "seed": 1,
    "workers": 1,
    "continue-on-failure": True,
    "cache": {"enabled": False},
    "phases": {"fuzzing": {"enabled": IS_LONG}},
    # NUL is refused in every string; the document would have to say so of each.
    "generation": {
        "max-examples": EXAMPLES,
        "no-shrink": True,
        "deterministic": True,
        "allow-x00": False,
    },
    "operations": [
        {"include-path": f"{API}/auth/register", "checks": KEYS_ARE_REPEATED},
        {"include-name": f"GET {API}/users/me", "checks": TAGS_ARE_GUESSED},
        {"include-name": f"GET {API}/users/{{user_id}}", "checks": TAGS_ARE_GUESSED},
        {"include-name": f"GET {API}/roles/{{role_id}}", "checks": TAGS_ARE_GUESSED},
        {"include-name": f"PUT {API}/users/me", "checks": TAKEN_OR_TAG_IS_GUESSED},
        {"include-name": f"PATCH {API}/users/me", "checks": TAKEN_OR_TAG_IS_GUESSED},
        *(
            {"include-name": name, "checks": PASSWORD_IS_GUESSED}
            for name in (f"POST {API}/auth/password/change",)
        ),
        {"include-name": f"DELETE {API}/users/me", "checks": PASSWORD_OR_TAG_IS_GUESSED},
        {"include-path": f"{API}/auth/passkeys/login", "checks": PASSKEY_IS_GUESSED},
        {"include-path": f"{API}/auth/mfa", "checks": PROOF_IS_GUESSED},
        {"include-name": f"POST {API}/auth/reauthenticate", "checks": PROOF_IS_GUESSED},
        *(
            {"include-path": f"{API}/auth/{path}", "checks": LINKS_ARE_GUESSED}
            for path in (
                *("password/reset", "email/verify", "email/change/confirm"),
                *("email/change/cancel", "not-me"),
                # Nor the ticket of a login, nor a ceremony with a passkey.
                *("mfa/passkey-options", "passkeys"),
            )
        ),
        {"include-name": f"POST {API}/users", "checks": KEYS_ARE_REPEATED},
        {"include-name": f"POST {API}/auth/keys", "checks": RIGHTS_ARE_GUESSED},
        {"include-name": f"POST {API}/auth/keys/{{key_id}}/rotate", "checks": KEYS_ARE_GUESSED},
        {"include-name": f"DELETE {API}/users/{{user_id}}", "checks": TAGS_ARE_GUESSED},
        {"include-name": f"DELETE {API}/roles/{{role_id}}", "checks": TAGS_ARE_GUESSED},
        {"include-name": f"POST {API}/roles", "checks": TAKEN_IS_POSSIBLE},
        {"include-name": f"PATCH {API}/users/{{user_id}}", "checks": TAKEN_OR_NOT_THERE},
        {"include-name": f"PATCH {API}/roles/{{role_id}}", "checks": TAKEN_OR_NOT_THERE},
        {"include-name": f"PUT {API}/users/{{user_id}}/roles", "checks": ROLES_ARE_GUESSED},
        *(
            {"include-name": f"GET {API}/{path}", "checks": CURSORS_ARE_GUESSED}
            for path in ("users", "users/audit", "users/me/activity", "roles")
        ),
        {
            "include-name": f"GET {API}/users/{{user_id}}/audit",
            "checks": CURSORS_ARE_GUESSED | OUTLIVES_ITS_SUBJECT,
        },
        {"include-path": f"{API}/auth/logout", "checks": BODY_IS_IGNORED},
        {"include-path": f"{API}/auth/token", "checks": REFUSALS_ARE_400},
    ],
}


@pytest.fixture(autouse=True)
def formats() -> None:
    for name, strategy in FORMATS.items():
        schemathesis.openapi.format(name, strategy)


@pytest.fixture(autouse=True)
def probes_in_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """Drop settings of network calls, which schemathesis hands to its probes by WSGI as well."""
    send = WSGITransport.send

    def send_in_process(transport: WSGITransport, case: Case, **options: Any) -> Response:
        known = {
            name: value
            for name, value in options.items()
            if name not in ("max_redirects", "verify", "cert", "proxies")
        }
        return send(transport, case, **known)

    monkeypatch.setattr(WSGITransport, "send", send_in_process)


@pytest.mark.timeout(600)
def test_every_answer_is_as_the_document_says(app: Flask, grace: User) -> None:
    configuration = schemathesis.Config.from_dict(CONFIGURATION)
    document = in_full(app.test_client().get("/openapi.json").json)
    schema = schemathesis.openapi.from_dict(document, config=configuration)
    schema.app, schema.location = app, "/openapi.json"
    schema.auth(refresh_interval=None)(signed_in(app, grace))
    schema.hook("filter_body")(is_as_we_mean_it)

    events = list(from_schema(schema).execute())

    assert answers_to(events) > 300
    assert not (found := failures(events)), "\n\n".join(found)


def in_full(document: dict[str, Any]) -> dict[str, Any]:
    """The document with the rules of its extensions in JSON Schema.

    Generators of clients cannot read these rules, so the document has them in words.
    """
    for name, schema in document["components"]["schemas"].items():
        if name.endswith("Form"):
            # Other fields are ignored, unless they come twice (RFC 6749 §3.2).
            schema["additionalProperties"] = {"type": "string"}
        if choices := schema.get("x-exactly-one"):
            schema["oneOf"] = [{"required": [choice]} for choice in choices]
        if choices := schema.get("x-at-most-one"):
            schema["not"] = {"required": choices}
    for _, operation in operations(document):
        for answer in operation["responses"].values():
            if "x-codes" in answer:
                code = {"properties": {"code": {"enum": answer["x-codes"]}}}
                for content in answer["content"].values():
                    content["schema"] = {"allOf": [content["schema"], code]}
    return document


def is_as_we_mean_it(_context: Any, body: Any) -> bool:
    """Whether it holds no address or picture that is one to JSON Schema alone.

    Schemathesis also tries what it finds in our sources and answers, like the sender of mails
    and the URL of a database.
    """
    if not isinstance(body, dict) or "no-reply@localhost" in body.values():
        return not isinstance(body, dict)
    picture = body.get("avatar_url")
    return not isinstance(picture, str) or bool(re.match("https?://[a-z]", picture))


def signed_in(app: Flask, user: User) -> type[Any]:
    """How schemathesis signs in: anew where the case before has logged out."""

    class SignedIn:
        token = ""

        def get(self, _case: Case, _context: AuthContext) -> str:
            client = app.test_client()
            with random_as_before():
                if not self.token or me(client, self.token).status_code != 200:
                    # By address: the name may have been changed.
                    credentials = {"email": user.email, "password": PASSWORD}
                    pair = client.post(f"{API}/auth/login", json=credentials).json
                    self.token = pair["access_token"]
            return self.token

        def set(self, case: Case, token: str, _context: AuthContext) -> None:
            case.headers.update(bearer(token))
            # Nobody would be left to ask if who asks were deactivated.
            if str((case.path_parameters or {}).get("user_id")) == str(user.id):
                case.path_parameters["user_id"] = user.id + 10**9

    return SignedIn


@contextmanager
def random_as_before() -> Iterator[None]:
    """Hypothesis refuses cases whose making took numbers of ``random``, as our request ids do."""
    state = random.getstate()
    yield
    random.setstate(state)


def answers_to(events: list[EngineEvent]) -> int:
    return sum(len(event.recorder.interactions) for event in scenarios(events))


def failures(events: list[EngineEvent]) -> list[str]:
    """What went wrong, in words: each check once an operation, with the call to try it by."""
    found = {
        f"{event.label}: {event.value!r}": ""
        for event in events
        if isinstance(event, NonFatalError)
    }
    for scenario in scenarios(events):
        for check in chain.from_iterable(scenario.recorder.checks.values()):
            if check.failure_info is not None:
                failure, call = check.failure_info.failure, check.failure_info.code_sample
                about = f"{failure.operation} {check.name}"
                found.setdefault(about, f"{failure.title}\n{failure.message}\n{call}")
    return [f"{about}\n{words}" for about, words in found.items()]


def scenarios(events: list[EngineEvent]) -> list[ScenarioFinished]:
    for event in events:
        if isinstance(event, FatalError):
            raise event.exception
    return [event for event in events if isinstance(event, ScenarioFinished)]
