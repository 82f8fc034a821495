"""Each lie of a provider, through the front door: it is refused, and nothing is stored."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from urllib.parse import urlencode

import pytest
import time_machine
from flask import Flask
from sqlalchemy import func, select
from werkzeug.test import TestResponse

from app import clock, create_app, read_settings
from app.auth.providers.models import Identity
from app.extensions import db
from app.models import Session, User
from app.security.outbound import connection, fetching
from tests.auth.providers.lies import (
    ADDRESSES,
    CALLBACKS,
    CLAIMS,
    ENDPOINTS,
    LIES,
    PLAIN,
    SIGNATURES,
    TRUTHS,
)
from tests.auth.providers.lying_provider import FOREIGN, SUBJECT, Lie, Provider, lying
from tests.auth.providers.signing_in import (
    FROM_THERE,
    begin,
    come_back,
    finish,
    form_token,
    leads_to,
    place_of,
    press,
    sign_in,
)
from tests.cases import each
from tests.conftest import ENVIRONMENT
from tests.cookies import secret_of
from tests.factories import API, make_user, problem
from tests.pages.person import Page, Person
from tests.security.outbound.strangers import answering, make_certificate, serving

ATTEMPT = "__Host-attempt"

# A provider that never ends is left after this. The real limit is tested beside the guard.
PATIENCE = 0.4


@pytest.fixture(scope="module")
def provider() -> Iterator[Provider]:
    with lying(TRUTHS + LIES) as found:
        yield found


@pytest.fixture(scope="module")
def empty_site(session_app: Flask, database_url: str, provider: Provider) -> Iterator[Flask]:
    variables = ENVIRONMENT | {"DATABASE_URL": database_url} | provider.environment()
    made = create_app(read_settings(variables))
    yield made
    with made.app_context():
        db.engine.dispose()


@pytest.fixture
def site(empty_site: Flask, provider: Provider, ada: User) -> Flask:
    """An application at which Ada has an identity at each issuer of the provider.

    So a lie that is believed signs somebody in.
    """
    with empty_site.app_context():
        db.session.add_all(
            Identity(
                user_id=ada.id,
                provider=name,
                issuer=provider.issuer(name),
                subject=SUBJECT,
                label="ada@example.com",
            )
            for name in provider.lies
        )
        db.session.commit()
    return empty_site


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    class Short(connection.Deadline):
        def __init__(self, seconds: float) -> None:
            super().__init__(min(seconds, PATIENCE))

    monkeypatch.setattr(fetching, "Deadline", Short)


def stored(app: Flask) -> list[int]:
    """How many accounts, identities and sessions there are."""
    with app.app_context():
        return [
            db.session.scalars(select(func.count()).select_from(model)).one()
            for model in (User, Identity, Session)
        ]


def test_a_provider_that_tells_the_truth_signs_in(site: Flask, provider: Provider) -> None:
    @each("lie", TRUTHS)
    def is_believed(lie: Lie) -> None:
        person = Person(site)

        answer = sign_in(person, provider, lie.name)

        assert place_of(answer) == "/account"
        assert secret_of(person.client)

    is_believed()


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize(
    "lies", [CLAIMS, SIGNATURES, ENDPOINTS, CALLBACKS], ids=["claims", "keys", "ends", "back"]
)
def test_a_lie_is_refused_and_nothing_is_stored(
    site: Flask, provider: Provider, lies: list[Lie]
) -> None:
    person = Person(site)
    token, before = form_token(person), stored(site)

    @each("lie", lies)
    def is_refused(lie: Lie) -> None:
        begun = press(person, token, lie.name)
        answer = finish(person, provider, lie.name, begun)

        assert answer.status_code == lie.status, Page(answer).text
        assert answer.mimetype == "text/html"
        assert "alert(1)" not in answer.text
        assert "state=" not in answer.text
        assert not secret_of(person.client)
        assert stored(site) == before

    is_refused()
    # A token may not choose the key that it is checked with.
    assert not any(call.endswith(FOREIGN) for call in provider.calls)


def test_a_native_application_may_tell_no_lie_either(site: Flask, provider: Provider) -> None:
    """Here anybody may send a token that they have made themselves."""
    client, before = site.test_client(), stored(site)

    def told(lie: Lie) -> TestResponse:
        path = f"{API}/auth/providers/{lie.name}"
        nonce = client.post(f"{path}/nonce", json={}).json["nonce"]
        token = provider.id_token(lie, nonce)
        return client.post(f"{path}/id-token", json={"id_token": token, "nonce": nonce})

    @each("lie", CLAIMS + SIGNATURES)
    def is_refused(lie: Lie) -> None:
        answer = told(lie)

        assert problem(answer) == (401, "invalid_credentials")
        assert stored(site) == before

    is_refused()
    for _ in range(3):
        told(provider.lies["kidunknown"])
    assert told(TRUTHS[0]).status_code == 200
    # A token with an unknown key lets the keys be read again, but not each time.
    assert provider.calls.count("kidunknown/jwks") <= 2


def test_an_unknown_certificate_is_the_fault_of_the_provider(
    make_app: Callable[..., Flask], tmp_path: Path
) -> None:
    certificate = make_certificate(tmp_path, "127.0.0.1")
    with serving(answering(b"{}"), certificate=certificate) as stranger:
        issuer = {"OIDC_TRUTH_ISSUER": f"https://127.0.0.1:{stranger.port}"}
        made = make_app(**Provider("", [Lie("truth")]).environment(**issuer))

        answer = begin(Person(made), "truth")

    assert answer.status_code == 502
    assert stranger.requests == []


def test_an_issuer_with_tls_leads_nowhere_without(
    make_app: Callable[..., Flask], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    certificate = make_certificate(tmp_path, "127.0.0.1")
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    connection.tls.cache_clear()
    with lying([Lie("truth"), *PLAIN], certificate=certificate) as provider:
        made = make_app(**provider.environment())
        person = Person(made)
        token = form_token(person)

        answers = {name: press(person, token, name).status_code for name in provider.lies}
    connection.tls.cache_clear()

    assert answers == {name: 200 if name == "truth" else 502 for name in provider.lies}


# The callback


def brought_by(person: Person, provider: Provider, name: str = "truth") -> dict[str, str]:
    """What the provider sends back for a browser that has pressed its button."""
    return provider.authorize(leads_to(begin(person, name)))


def test_the_state_of_another_browser_is_refused(site: Flask, provider: Provider) -> None:
    """Otherwise a link would sign a victim in to the account of the attacker."""
    attacker, victim = Person(site), Person(site)
    bait = brought_by(attacker, provider)
    without_attempt = come_back(victim, "truth", bait)
    brought_by(victim, provider)

    with_another = come_back(victim, "truth", bait)

    assert (without_attempt.status_code, with_another.status_code) == (400, 400)
    assert not secret_of(victim.client)
    # The attempt of a browser cannot be used up by another one.
    assert place_of(come_back(attacker, "truth", bait)) == "/account"


def test_the_state_of_another_provider_is_refused(site: Flask, provider: Provider) -> None:
    """These two do not say who they are, so only the state can (mix-up attack)."""
    person = Person(site)
    brought = brought_by(person, provider, "noissincallback")

    answer = come_back(person, "noisseither", brought)

    assert answer.status_code == 400
    assert not secret_of(person.client)


def test_a_callback_works_once(site: Flask, provider: Provider) -> None:
    person = Person(site)
    brought = brought_by(person, provider)

    first, second = (come_back(person, "truth", brought) for _ in range(2))

    assert place_of(first) == "/account"
    assert second.status_code == 400


def test_a_callback_that_comes_too_late_is_refused(site: Flask, provider: Provider) -> None:
    person = Person(site)
    brought = brought_by(person, provider)

    with time_machine.travel(clock.now() + timedelta(minutes=11)):
        answer = come_back(person, "truth", brought)

    assert answer.status_code == 400
    assert not secret_of(person.client)


@pytest.mark.parametrize("name", ["state", "code", "iss"])
def test_a_parameter_that_is_given_twice_is_refused(
    site: Flask, provider: Provider, name: str
) -> None:
    person = Person(site)
    brought = brought_by(person, provider)
    query = f"{urlencode(brought)}&{urlencode({name: brought[name]})}"

    answer = person.ask("GET", f"/account/with/truth/callback?{query}", **FROM_THERE)

    assert answer.status_code == 400
    assert not secret_of(person.client)


@pytest.mark.postgresql
def test_of_many_callbacks_at_once_one_signs_in(site: Flask, provider: Provider) -> None:
    person = Person(site)
    brought = brought_by(person, provider)
    attempt = secret_of(person.client, ATTEMPT)

    def again(_: int) -> int:
        other = Person(site)
        other.client.set_cookie(ATTEMPT, attempt)
        return come_back(other, "truth", brought).status_code

    with ThreadPoolExecutor(8) as pool:
        statuses = sorted(pool.map(again, range(8)))

    # The provider takes its code once as well, but then it would be a 502.
    assert statuses == [303] + [400] * 7


def test_a_form_of_another_site_begins_nothing(site: Flask, provider: Provider) -> None:
    person = Person(site)
    data = {"csrf_token": form_token(person), "purpose": "login", "next": "/account"}

    answer = person.ask("POST", "/account/with/truth", data=data, **FROM_THERE)

    assert answer.status_code == 403
    assert not secret_of(person.client, ATTEMPT)


def test_an_unknown_provider_is_not_found(site: Flask) -> None:
    person = Person(site)

    begun = begin(person, "nobody")
    back = come_back(person, "nobody", {"code": "c", "state": "s"})

    assert (begun.status_code, back.status_code) == (404, 404)


# The address


def test_an_address_that_is_not_proven_links_nothing(
    app: Flask, make_app: Callable[..., Flask], ada: User
) -> None:
    """Not even where an operator trusts the provider for the domain."""
    for name, email in (("carol", "carol@example.net"), ("dan", "dan@mail.example.com")):
        make_user(app, username=name, email=email, email_verified=True)
    with lying(ADDRESSES) as provider:
        trusted = {}
        for name in provider.lies:
            trusted |= {
                f"OIDC_{name.upper()}_LINK_VERIFIED": "true",
                f"OIDC_{name.upper()}_DOMAINS": "example.com",
            }
        made = make_app(**provider.environment(**trusted))

        @each("lie", ADDRESSES)
        def decides(lie: Lie) -> None:
            person, before = Person(made), stored(made)

            answer = sign_in(person, provider, lie.name)

            is_signed_in = bool(secret_of(person.client))
            assert is_signed_in == lie.name.startswith("proven"), Page(answer).text
            assert answer.status_code in (200, 303)
            if not is_signed_in:
                assert stored(made) == before

        decides()
