"""Linking, unlinking and listing identities, and the last way in to an account."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from flask import Flask
from sqlalchemy import func, select, update

from app import clock
from app.auth.providers import identities
from app.auth.providers.models import Identity
from app.extensions import db
from app.models import Session, User
from app.security import one_time_tokens
from app.security.one_time_tokens import Purpose
from tests.auth.passkeys.authenticator import Authenticator
from tests.auth.passkeys.browser import register
from tests.auth.providers.acme import (
    Acme,
    come_back,
    goal_of,
    link_directly,
    offered,
    place_of,
    press,
    sign_in,
)
from tests.doctor.test_checks import found
from tests.factories import API, bearer, log_in, make_user, problem
from tests.mailbox import Mailbox
from tests.pages.person import Page, Person, signed_in

IDENTITIES = f"{API}/auth/identities"


def subjects(app: Flask) -> list[str]:
    with app.app_context():
        return list(db.session.scalars(select(Identity.subject).order_by(Identity.subject)))


def identity_ids(app: Flask, user: User) -> list[int]:
    with app.app_context():
        mine = select(Identity.id).where(Identity.user_id == user.id)
        return list(db.session.scalars(mine.order_by(Identity.id)))


def begin_link(person: Person, acme: Acme) -> str:
    page = person.open("/account/identities")
    return goal_of(press(person, page, acme))


def without_password(app: Flask, user: User) -> dict[str, str]:
    """Take the password of a user who has logged in. Returns the headers of that login. Commits."""
    headers = bearer(log_in(app.test_client(), user)["access_token"])
    with app.app_context():
        db.session.execute(update(User).where(User.id == user.id).values(hashed_password=None))
        db.session.commit()
    return headers


# Linking


def test_a_signed_in_person_links_and_unlinks(app: Flask, acme: Acme, ada: User) -> None:
    person = signed_in(app, ada)

    back = come_back(person, acme, acme.agree(begin_link(person, acme), "1", name="Ada"))

    assert place_of(back) == "/account/identities"
    page = person.follow(Page(back))
    assert "The account is linked" in page.notice
    [action] = [form.action for form in page.forms if form.action.endswith("/unlink")]
    done = person.follow(person.send(page, action))
    assert "unlinked" in done.notice
    assert subjects(app) == []


def test_no_mail_quotes_what_somebody_is_called_at_a_provider(
    app: Flask, acme: Acme, ada: User, mailbox: Mailbox
) -> None:
    person = signed_in(app, ada)

    come_back(person, acme, acme.agree(begin_link(person, acme), "1", name="Call 0800 123456"))
    [identity] = identity_ids(app, ada)
    page = person.open("/account/identities")
    person.send(page, f"/account/identities/{identity}/unlink")

    mails = mailbox.deliver()
    assert [mail.subject for mail in mails] == [
        "An account of Acme can log in to your account",
        "An account of Acme was unlinked from your account",
    ]
    assert not any("0800" in mail.text for mail in mails)


def test_an_identity_of_another_account_is_refused(
    app: Flask, acme: Acme, ada: User, bob: User
) -> None:
    link_directly(app, bob)
    person = signed_in(app, ada)

    back = come_back(person, acme, acme.agree(begin_link(person, acme), "1"))

    assert back.status_code == 409
    assert "bob" not in back.text


def test_an_account_has_only_so_many_identities(
    app: Flask, acme: Acme, ada: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(identities, "MOST_IDENTITIES", 1)
    link_directly(app, ada)
    person = signed_in(app, ada)

    back = come_back(person, acme, acme.agree(begin_link(person, acme), "2"))

    assert back.status_code == 409
    assert "Unlink one first" in back.text
    assert subjects(app) == ["1"]


def test_linking_wants_a_recent_login(app: Flask, acme: Acme, ada: User) -> None:
    person = signed_in(app, ada)
    page = person.open("/account/identities")
    with app.app_context():
        db.session.execute(update(Session).values(authenticated_at=None))
        db.session.commit()

    answer = press(person, page, acme)

    assert place_of(answer) == "/account/reauthenticate?next=%2Faccount%2Fidentities"
    assert acme.calls == []


@pytest.mark.parametrize("meanwhile", ["logged out", "as another", "logged in again", "elsewhere"])
def test_the_session_that_began_to_link_must_be_the_one_that_ends(
    app: Flask, acme: Acme, ada: User, bob: User, meanwhile: str
) -> None:
    person = signed_in(app, ada)
    brought = acme.agree(begin_link(person, acme), "1")
    if meanwhile == "elsewhere":
        person = signed_in(app, ada)
    else:
        person.send(person.open("/account"), "/account/logout")
    if meanwhile == "as another":
        person.log_in(bob)
    if meanwhile == "logged in again":
        person.log_in(ada)

    back = come_back(person, acme, brought)

    assert back.status_code == 400
    assert subjects(app) == []


def test_a_link_does_not_sign_in_and_a_login_does_not_link(
    app: Flask, acme: Acme, ada: User
) -> None:
    """What was begun to log in links nothing, although somebody is signed in at the end."""
    person = Person(app)
    goal = goal_of(press(person, person.open("/account/login"), acme))
    person.log_in(ada)

    back = come_back(person, acme, acme.agree(goal, "1", email="new@acme.example"))

    assert place_of(back) == "/account/with/acme/new-account"
    assert subjects(app) == []


# Proving again


def stale(app: Flask, acme: Acme, user: User) -> Person:
    person = Person(app)
    sign_in(person, acme, "1")
    with app.app_context():
        db.session.execute(update(Session).values(authenticated_at=None))
        db.session.commit()
    return person


@pytest.mark.parametrize(
    ("sub", "auth_time", "status"),
    [("1", 0, 303), ("1", None, 403), ("1", -3600, 403), ("2", 0, 403), ("3", 0, 403)],
    ids=["new proof", "says nothing", "old proof", "unknown", "of another account"],
)
def test_a_new_proof_is_of_the_same_person_and_new(
    app: Flask, acme: Acme, ada: User, bob: User, sub: str, auth_time: int | None, status: int
) -> None:
    link_directly(app, ada, "1")
    link_directly(app, bob, "3")
    person = stale(app, acme, ada)
    page = person.open("/account/reauthenticate?next=/account/security/totp")
    goal = goal_of(press(person, page, acme))
    assert "prompt=login" in goal
    assert "max_age=0" in goal
    when = {} if auth_time is None else {"auth_time": clock.now().timestamp() + auth_time}

    back = come_back(person, acme, acme.agree(goal, sub, **when))

    assert back.status_code == status
    way_back = "/account/reauthenticate?next=%2Faccount%2Fsecurity%2Ftotp"
    assert (way_back in Page(back).links) == (status == 403)
    fresh = person.client.get(f"{API}/auth/sessions/current").json["fresh_until"]
    assert (fresh is not None) == (status == 303)


def test_a_new_proof_is_not_enough_where_the_second_step_is_on(
    app: Flask, acme: Acme, ada: User
) -> None:
    link_directly(app, ada, "1")
    person = stale(app, acme, ada)
    page = person.open("/account/reauthenticate")
    goal = goal_of(press(person, page, acme))
    with app.app_context():
        on = update(User).where(User.id == ada.id).values(second_step_at=clock.now())
        db.session.execute(on)
        db.session.commit()

    back = come_back(person, acme, acme.agree(goal, "1", auth_time=clock.now().timestamp()))

    assert place_of(back).startswith("/account/reauthenticate")
    assert person.client.get(f"{API}/auth/sessions/current").json["fresh_until"] is None


# The last way in


def test_the_last_way_in_stays(app: Flask, acme: Acme, ada: User) -> None:
    link_directly(app, ada)
    headers = without_password(app, ada)
    [number] = identity_ids(app, ada)
    client = app.test_client()

    last = client.delete(f"{IDENTITIES}/{number}", headers=headers)
    made = client.post(
        f"{API}/auth/password/set", json={"new_password": "a long first one"}, headers=headers
    )
    again = client.post(
        f"{API}/auth/password/set", json={"new_password": "a long first one"}, headers=headers
    )
    now = client.delete(f"{IDENTITIES}/{number}", headers=headers)

    assert problem(last) == (409, "last_way_in")
    assert (made.status_code, now.status_code) == (204, 204)
    assert problem(again) == (409, "password_exists")
    assert log_in(client, ada, password="a long first one")


@pytest.mark.parametrize("verifies_user", [True, False])
def test_a_passkey_is_a_way_in_if_it_verifies_its_user(
    app: Flask, acme: Acme, ada: User, verifies_user: bool
) -> None:
    client = app.test_client()
    token = log_in(client, ada)["access_token"]
    key = Authenticator()
    key.verifies_user = verifies_user
    added = register(client, token, key)
    link_directly(app, ada)
    headers = without_password(app, ada) if verifies_user else bearer(token)
    if not verifies_user:
        with app.app_context():
            db.session.execute(update(User).values(hashed_password=None))
            db.session.commit()
    [number] = identity_ids(app, ada)

    first = client.delete(f"{IDENTITIES}/{number}", headers=headers)
    passkey = client.delete(f"{API}/auth/passkeys/{added.json['passkey']['id']}", headers=headers)

    assert first.status_code == (204 if verifies_user else 409)
    assert passkey.status_code == (409 if verifies_user else 204)


def test_an_identity_of_a_provider_that_is_gone_is_no_way_in(
    app: Flask, acme: Acme, ada: User
) -> None:
    link_directly(app, ada)
    with app.app_context():
        db.session.add(
            Identity(user_id=ada.id, issuer="https://gone.example", subject="1",
                     provider="gone", label="x")
        )  # fmt: skip
        db.session.commit()
    headers = without_password(app, ada)
    acme_id, _ = identity_ids(app, ada)

    answer = app.test_client().delete(f"{IDENTITIES}/{acme_id}", headers=headers)

    assert problem(answer) == (409, "last_way_in")


def test_an_identity_of_another_is_not_found(app: Flask, acme: Acme, ada: User, bob: User) -> None:
    link_directly(app, bob)
    headers = bearer(log_in(app.test_client(), ada)["access_token"])
    [number] = identity_ids(app, bob)

    answer = app.test_client().delete(f"{IDENTITIES}/{number}", headers=headers)

    assert problem(answer) == (404, "not_found")


# This was not me


def test_this_was_not_me_unlinks_what_was_linked_lately(app: Flask, acme: Acme, ada: User) -> None:
    link_directly(app, ada, "old")
    with app.app_context():
        db.session.execute(update(Identity).values(created_at=clock.now() - timedelta(days=8)))
        db.session.commit()
    link_directly(app, ada, "new")
    with app.app_context():
        token = one_time_tokens.issue(ada.id, Purpose.NOT_ME, email=ada.email)
        db.session.commit()

    app.test_client().post(f"{API}/auth/not-me", json={"token": token})

    assert subjects(app) == ["old"]


def test_the_export_has_identities_and_no_secrets(app: Flask, acme: Acme, ada: User) -> None:
    link_directly(app, ada)
    headers = bearer(log_in(app.test_client(), ada)["access_token"])

    exported = app.test_client().get(f"{API}/users/me/export", headers=headers).json

    [identity] = exported["identities"]
    assert (identity["issuer"], identity["subject"]) == (acme.issuer, "1")
    assert exported["provider_attempts"] == []


def test_operators_list_identities(app: Flask, acme: Acme, ada: User) -> None:
    link_directly(app, ada)

    result = app.test_cli_runner().invoke(args=["users", "identities", "ada"])

    assert result.exit_code == 0, result.output
    assert "Acme" in result.output


# What ``flask doctor`` finds


def test_the_doctor_names_the_issuers_that_are_not_set_up(app: Flask, ada: User) -> None:
    check = "identities_belong_to_these_providers"
    link_directly(app, ada)
    with offered(app) as acme:
        set_up = found(app)

    assert check not in set_up
    assert found(app)[check] == (
        f"Some linked identities belong to providers that are not set up here: 1 of {acme.issuer}."
    )


def test_the_doctor_names_the_providers_that_link_by_the_addresses_of_no_domain(
    app: Flask,
) -> None:
    check = "links_by_address_name_domains"
    with offered(app, links_verified=True):
        with_domains = found(app)
    with offered(app, links_verified=True, domains=()):
        without = found(app)

    assert check not in with_domains
    assert without[check] == "LINK_VERIFIED has no effect without DOMAINS, for: acme."


# Races


@pytest.mark.postgresql
def test_of_twenty_answers_with_one_state_one_signs_in(app: Flask, acme: Acme, ada: User) -> None:
    link_directly(app, ada)
    person = Person(app)
    brought = acme.agree(goal_of(press(person, person.open("/account/login"), acme)), "1")
    held = person.client.get_cookie("__Host-attempt")
    assert held is not None

    def come(_: int) -> int:
        twin = Person(app)
        twin.client.set_cookie("__Host-attempt", held.value)
        return come_back(twin, acme, brought).status_code

    with ThreadPoolExecutor(10) as pool:
        statuses = sorted(pool.map(come, range(20)))

    assert statuses == [303] + [400] * 19
    assert acme.calls.count("/token") == 1


@pytest.mark.postgresql
def test_of_two_accounts_that_link_one_identity_at_once_one_gets_it(
    app: Flask, acme: Acme, ada: User, bob: User
) -> None:
    people = [signed_in(app, user) for user in (ada, bob)]
    brought = [acme.agree(begin_link(person, acme), "1") for person in people]

    with ThreadPoolExecutor(2) as pool:
        statuses = sorted(
            pool.map(lambda n: come_back(people[n], acme, brought[n]).status_code, range(2))
        )

    assert statuses == [303, 409]
    assert subjects(app) == ["1"]


@pytest.mark.postgresql
def test_of_the_last_two_ways_in_that_are_unlinked_at_once_one_stays(
    app: Flask, acme: Acme
) -> None:
    for number in range(4):
        user = make_user(app, username=f"ada{number}", email=f"ada{number}@example.com")
        link_directly(app, user, f"{number}.1")
        link_directly(app, user, f"{number}.2")
        headers = without_password(app, user)

        def unlink(identity: int, headers: dict[str, str] = headers) -> int:
            return app.test_client().delete(f"{IDENTITIES}/{identity}", headers=headers).status_code

        with ThreadPoolExecutor(2) as pool:
            statuses = sorted(pool.map(unlink, identity_ids(app, user)))

        assert statuses == [204, 409]
        with app.app_context():
            mine = select(func.count()).where(Identity.user_id == user.id)
            assert db.session.scalar(mine) == 1


@pytest.mark.postgresql
def test_of_two_first_passwords_at_once_one_is_set(app: Flask, acme: Acme, ada: User) -> None:
    link_directly(app, ada)
    headers = without_password(app, ada)

    def set_one(number: int) -> int:
        body = {"new_password": f"a long first one {number}"}
        path = f"{API}/auth/password/set"
        return app.test_client().post(path, json=body, headers=headers).status_code

    with ThreadPoolExecutor(2) as pool:
        assert sorted(pool.map(set_one, range(2))) == [204, 409]


# What waits for somebody who left


def test_what_waits_is_over_once_it_was_used_or_its_time_is_over(app: Flask, acme: Acme) -> None:
    person = Person(app)
    page = person.follow(Page(sign_in(person, acme, "1", email="ada@acme.example")))
    held = person.client.get_cookie("__Host-attempt")
    assert held is not None
    assert place_of(person.send(page, username="ada").answer) == "/account"
    twin = Person(app)
    twin.client.set_cookie("__Host-attempt", held.value)

    assert twin.ask("GET", "/account/with/acme/new-account").status_code == 400
