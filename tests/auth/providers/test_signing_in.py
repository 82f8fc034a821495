"""What follows when a provider has said who somebody is: each end, and each way on."""

from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import func, select

from app.auth.providers.models import Identity
from app.extensions import db
from app.models import OutboxMessage, Session, User
from app.security.outbound.fetching import Answer, OutboundFailed
from tests.auth.mfa.phone import enrol_with
from tests.auth.providers.acme import (
    Acme,
    come_back,
    goal_of,
    link_directly,
    next_of,
    offered,
    place_of,
    press,
    sign_in,
)
from tests.factories import API, PASSWORD, bearer, log_in, make_user, problem
from tests.mailbox import Mailbox
from tests.pages.person import Page, Person

PROVED = {"email": "ada@acme.example", "email_verified": True}


def count(app: Flask, model: Any) -> int:
    with app.app_context():
        return db.session.scalar(select(func.count()).select_from(model)) or 0


def kinds(app: Flask) -> list[str]:
    """The mails that were queued."""
    with app.app_context():
        return list(db.session.scalars(select(OutboxMessage.message).order_by(OutboxMessage.id)))


def username_of(person: Person) -> str | None:
    """Who is signed in at this browser."""
    answer = person.client.get(f"{API}/users/me")
    return answer.json["username"] if answer.status_code == 200 else None


def test_a_known_identity_signs_in_and_says_how(
    app: Flask, acme: Acme, visitor: Person, ada: User
) -> None:
    link_directly(app, ada)

    answer = sign_in(visitor, acme, "1", next_path="/account/devices", email="new@acme.example")

    assert place_of(answer) == "/account/devices"
    assert username_of(visitor) == "ada"
    current = visitor.client.get(f"{API}/auth/sessions/current").json
    assert (current["signed_in_by"], current["amr"], current["aal"]) == ("acme", ["fed"], 1)
    [identity] = visitor.client.get(f"{API}/auth/identities").json["items"]
    assert (identity["provider"], identity["label"]) == ("acme", "new@acme.example")


def test_a_new_person_chooses_a_username_and_is_signed_in(
    app: Flask, acme: Acme, visitor: Person
) -> None:
    answer = sign_in(visitor, acme, "1", preferred_username="Ada L.", **PROVED)

    page = visitor.follow(Page(answer))
    assert page.path == "/account/with/acme/new-account"
    assert page.form().fields["username"] == "Ada.L"
    done = visitor.send(page, username="ada")
    assert place_of(done.answer) == "/account"
    me = visitor.client.get(f"{API}/users/me").json
    assert (me["username"], me["email"], me["email_verified"]) == ("ada", "ada@acme.example", True)


@pytest.mark.parametrize(
    ("claims", "email"),
    [
        ({"email": "ada@acme.example"}, None),
        ({"email": "ada@elsewhere.example", "email_verified": True}, None),
        ({}, "ada@typed.example"),
        # Another address than the proved one is not proved.
        (PROVED, "ada@typed.example"),
    ],
    ids=["not verified", "not its domain", "no address", "another address"],
)
def test_an_address_that_is_not_proved_gets_the_usual_mail(
    app: Flask, acme: Acme, visitor: Person, claims: dict[str, Any], email: str | None
) -> None:
    page = visitor.follow(Page(sign_in(visitor, acme, "1", **claims)))

    done = visitor.send(page, username="ada", **({"email": email} if email else {}))

    assert place_of(done.answer) == "/account"
    assert visitor.client.get(f"{API}/users/me").json["email_verified"] is False
    assert kinds(app) == ["verify_email"]


def test_an_unproved_address_must_be_confirmed_first_where_that_is_required(
    app: Flask, acme: Acme, visitor: Person, set_settings: Callable[..., None]
) -> None:
    set_settings(require_verified_email=True)
    page = visitor.follow(Page(sign_in(visitor, acme, "1", email="ada@elsewhere.example")))

    done = visitor.send(page, username="ada")

    assert place_of(done.answer) == "/account/login"
    assert username_of(visitor) is None
    again = sign_in(visitor, acme, "1")
    assert again.status_code == 403
    assert "/account/verify-email/new-link" in Page(again).links


def test_a_form_is_of_the_person_whom_it_showed(app: Flask, acme: Acme, visitor: Person) -> None:
    """Somebody else came since, in another tab."""
    page = visitor.follow(Page(sign_in(visitor, acme, "1", **PROVED)))
    sign_in(visitor, acme, "2", email="bob@acme.example")

    assert visitor.send(page, username="ada").status == 400
    assert count(app, User) == 0


def test_without_registration_no_account_is_made(
    app: Flask, acme: Acme, visitor: Person, set_settings: Callable[..., None]
) -> None:
    set_settings(pages_registration=False)

    answer = sign_in(visitor, acme, "1", **PROVED)

    assert answer.status_code == 403
    assert count(app, User) == 0


def test_a_taken_username_is_said_beside_the_field(acme: Acme, visitor: Person, bob: User) -> None:
    page = visitor.follow(Page(sign_in(visitor, acme, "1", **PROVED)))

    refused = visitor.send(page, username="bob")

    assert refused.status == 422
    assert list(refused.errors) == ["username"]
    assert place_of(visitor.send(refused, username="ada").answer) == "/account"


def test_a_provider_that_is_away_leaves_the_other_ways_in(
    app: Flask, visitor: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(url: str, **_: Any) -> Answer:
        raise OutboundFailed("unreachable", "nobody answers")

    with offered(app, Acme("other", "https://id.other.example")) as acme:
        monkeypatch.setattr(acme, "fetch", away)
        page = visitor.open("/account/login?next=/account/devices")

        stopped = Page(press(visitor, page, acme))

    assert stopped.status == 502
    assert "/account/login?next=%2Faccount%2Fdevices" in stopped.links
    [other] = [form for form in stopped.forms if form.action.startswith("/account/with/")]
    assert (other.action, other.fields["next"]) == ("/account/with/other", "/account/devices")


# The address has an account


def test_the_owner_of_the_address_logs_in_and_links(
    app: Flask, acme: Acme, visitor: Person, ada: User
) -> None:
    answer = sign_in(visitor, acme, "1", email=ada.email, next_path="/account/devices")
    assert place_of(answer) == "/account/with/acme/confirm"
    page = visitor.follow(Page(answer))
    assert username_of(visitor) is None
    [way] = [link for link in page.links if link.startswith("/account/login")]

    login = visitor.open(way)
    back = visitor.send(login, username="ada", password=PASSWORD)
    assert place_of(back.answer) == "/account/with/acme/confirm"
    done = visitor.send(visitor.follow(back))

    assert place_of(done.answer) == "/account/devices"
    assert kinds(app) == ["identity_linked"]
    assert username_of(Person(app)) is None
    other = Person(app)
    assert place_of(sign_in(other, acme, "1")) == "/account"
    assert username_of(other) == "ada"


def test_the_second_step_of_the_account_stands_before_the_link(
    app: Flask, acme: Acme, visitor: Person, ada: User
) -> None:
    client = app.test_client()
    phone = enrol_with(client, log_in(client, ada)["access_token"])
    page = visitor.follow(Page(sign_in(visitor, acme, "1", email=ada.email)))
    [way] = [link for link in page.links if link.startswith("/account/login")]
    step = visitor.send(visitor.open(way), username="ada", password=PASSWORD)
    assert place_of(step.answer).startswith("/account/second-step")
    # Before the second step there is no session, and nothing to link with.
    early = visitor.open("/account/with/acme/confirm")
    assert not [form for form in early.forms if form.action.endswith("/confirm")]

    back = visitor.send(visitor.follow(step), otp=phone.code())

    assert next_of(place_of(step.answer)) == "/account/with/acme/confirm"
    assert place_of(back.answer) == "/account/with/acme/confirm"
    assert place_of(visitor.send(visitor.follow(back)).answer) == "/account"
    assert count(app, Identity) == 1


def test_somebody_else_cannot_link_what_waits_for_the_owner(
    app: Flask, acme: Acme, visitor: Person, ada: User, bob: User
) -> None:
    sign_in(visitor, acme, "1", email=ada.email)
    visitor.log_in(bob)
    page = visitor.open("/account/with/acme/confirm")

    data = {"csrf_token": page.forms[0].fields["csrf_token"]}
    answer = visitor.ask("POST", "/account/with/acme/confirm", data=data)

    assert not [form for form in page.forms if form.action.endswith("/confirm")]
    assert answer.status_code == 400
    assert count(app, Identity) == 0


def test_what_waits_at_one_browser_is_not_at_another(
    app: Flask, acme: Acme, visitor: Person, ada: User
) -> None:
    """Otherwise an attacker would begin, and the owner would link the attacker's identity."""
    sign_in(visitor, acme, "1", email=ada.email)
    owner = Person(app)
    owner.log_in(ada)

    assert owner.ask("GET", "/account/with/acme/confirm").status_code == 400


def test_an_address_alone_never_links(app: Flask, acme: Acme, visitor: Person, ada: User) -> None:
    """Both sides have verified the address, and the operator has not allowed it."""
    with app.app_context():
        db.session.get_one(User, ada.id).email = "ada@acme.example"
        db.session.commit()

    answer = sign_in(visitor, acme, "1", **PROVED)

    assert place_of(answer) == "/account/with/acme/confirm"
    assert count(app, Identity) == 0


@pytest.mark.parametrize(
    ("claims", "links"),
    [
        (PROVED, True),
        ({"email": "ada@acme.example"}, False),
        ({"email": "ada@elsewhere.example", "email_verified": True}, False),
    ],
    ids=["proved", "not verified", "not its domain"],
)
def test_link_verified_links_only_what_both_sides_have_verified(
    app: Flask, visitor: Person, claims: dict[str, Any], links: bool
) -> None:
    make_user(app, username="ada", email=claims["email"], email_verified=True)
    with offered(app, links_verified=True) as acme:
        answer = sign_in(visitor, acme, "1", **claims)

    assert place_of(answer) == ("/account" if links else "/account/with/acme/confirm")
    assert count(app, Identity) == links
    assert kinds(app) == ["signed_in_with_new_identity"] * links


def test_link_verified_asks_where_the_provider_has_given_the_address_to_somebody_else(
    app: Flask, visitor: Person
) -> None:
    ada = make_user(app, username="ada", email="ada@acme.example", email_verified=True)
    with offered(app, links_verified=True) as acme:
        link_directly(app, ada, "the one before")
        answer = sign_in(visitor, acme, "1", **PROVED)

    assert place_of(answer) == "/account/with/acme/confirm"
    assert username_of(visitor) is None


# Accounts that somebody made to wait for the owner of the address (pre-hijacking)


def test_an_unverified_account_is_emptied_for_the_owner_of_the_mailbox(
    app: Flask, acme: Acme, visitor: Person
) -> None:
    made = make_user(app, username="mallory", email="ada@acme.example")
    link_directly(app, made, sub="mallory")
    mallory = app.test_client()
    pair = log_in(mallory, made)
    phone = enrol_with(mallory, pair["access_token"])
    asked = {"name": "for later", "scopes": ["profile"]}
    made_key = mallory.post(
        f"{API}/auth/keys", json=asked, headers=bearer(phone.access_token)
    ).json["key"]

    answer = sign_in(visitor, acme, "1", **PROVED)

    assert place_of(answer) == "/account"
    assert username_of(visitor) == "mallory"
    refused = mallory.get(f"{API}/users/me", headers=bearer(phone.access_token))
    assert problem(refused) == (401, "session_ended")
    by_key = mallory.get(f"{API}/users/me", headers=bearer(made_key))
    assert problem(by_key) == (401, "invalid_token")
    login = mallory.post(f"{API}/auth/login", json={"email": made.email, "password": PASSWORD})
    assert problem(login) == (401, "invalid_credentials")
    held = visitor.client.get(f"{API}/auth/factors").json
    assert (held["second_step"], held["totp"]) == (False, None)
    with app.app_context():
        assert db.session.scalars(select(Identity.subject)).all() == ["1"]
    # The identity of the first one is a stranger's now.
    assert place_of(sign_in(Person(app), acme, "mallory")) == "/account/with/acme/new-account"


def test_an_unverified_account_stays_as_it_is_without_a_proof_of_the_mailbox(
    app: Flask, acme: Acme, visitor: Person
) -> None:
    made = make_user(app, username="mallory", email="ada@acme.example")

    answer = sign_in(visitor, acme, "1", email="ada@acme.example")

    assert place_of(answer) == "/account/with/acme/confirm"
    assert log_in(app.test_client(), made)


def test_a_proof_of_the_mailbox_by_mail_removes_identities_too(
    app: Flask, acme: Acme, mailbox: Mailbox
) -> None:
    made = make_user(app, username="mallory", email="ada@acme.example")
    link_directly(app, made)

    client = app.test_client()
    client.post(f"{API}/auth/password/forgot", json={"email": made.email})
    new = {"token": mailbox.token("reset-password"), "new_password": "another long password"}
    assert client.post(f"{API}/auth/password/reset", json=new).status_code == 204

    assert count(app, Identity) == 0


# The gate


def test_a_deactivated_account_is_refused_and_nothing_is_linked(
    app: Flask, acme: Acme, visitor: Person
) -> None:
    gone = make_user(app, username="ada", email="ada@acme.example", active=False)

    by_address = sign_in(visitor, acme, "1", **PROVED)
    link_directly(app, gone)
    by_identity = sign_in(visitor, acme, "1", **PROVED)

    assert (by_address.status_code, by_identity.status_code) == (400, 400)
    assert "deactivated" in by_identity.text
    assert count(app, Session) == 0


def test_a_second_factor_is_due_after_a_provider(
    app: Flask, acme: Acme, visitor: Person, ada: User
) -> None:
    client = app.test_client()
    phone = enrol_with(client, log_in(client, ada)["access_token"])
    link_directly(app, ada)

    step = Page(sign_in(visitor, acme, "1", next_path="/account/devices"))

    assert place_of(step.answer) == "/account/second-step?next=%2Faccount%2Fdevices"
    assert username_of(visitor) is None
    done = visitor.send(visitor.follow(step), otp=phone.code())
    assert place_of(done.answer) == "/account/devices"
    current = visitor.client.get(f"{API}/auth/sessions/current").json
    assert (current["signed_in_by"], current["aal"]) == ("acme", 2)
    assert current["amr"] == ["fed", "otp", "mfa"]


# Where accounts are hidden


@pytest.mark.parametrize("account", ["active", "deactivated", None])
def test_an_unproved_address_does_not_tell_whether_it_has_an_account(
    app: Flask, acme: Acme, visitor: Person, mailbox: Mailbox, account: str | None,
    set_settings: Callable[..., None],
) -> None:  # fmt: skip
    set_settings(hide_account_existence=True)
    email = "ada@elsewhere.example"
    if account:
        is_active = account == "active"
        make_user(app, username="owner", email=email, email_verified=True, active=is_active)

    page = visitor.follow(Page(sign_in(visitor, acme, "1", email=email)))
    done = visitor.send(page, username="ada")

    assert place_of(done.answer) == "/account/login"
    assert username_of(visitor) is None
    assert "We sent a mail" in visitor.follow(done).notice
    mailbox.deliver()
    assert kinds(app) == ["account_exists" if account else "verify_email"]


def test_what_one_browser_began_another_cannot_finish(app: Flask, acme: Acme, ada: User) -> None:
    """Otherwise a link would sign a victim in to the attacker's account."""
    link_directly(app, ada)
    attacker, victim = Person(app), Person(app)
    goals = [goal_of(press(each, each.open("/account/login"), acme)) for each in (attacker, victim)]
    bait = acme.agree(goals[0], "1")

    assert come_back(victim, acme, bait).status_code == 400
    assert username_of(victim) is None
    assert place_of(come_back(attacker, acme, bait)) == "/account"
