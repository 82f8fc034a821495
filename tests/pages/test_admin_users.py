"""The administration pages that find and invite people."""

import re
from urllib.parse import quote

from flask import Flask
from sqlalchemy import update

from app.extensions import db
from app.models import Role, User
from app.pages.admin import menu
from tests.factories import give_role, make_role, make_user, permit, take_roles
from tests.mailbox import Mailbox
from tests.pages.person import Page, Person, signed_in

PATH = "/admin/users"
PATHS = ("/admin", PATH, "/admin/users/new")


def names(page: Page) -> list[str]:
    """The usernames that are listed."""
    return re.findall(r"<p>([^ <]+) · ", page.html)


def status(person: Person, path: str) -> int:
    return person.ask("GET", path).status_code


def test_each_page_opens_with_its_permission_alone(
    app: Flask, ada: User, bob: User, grace_at_home: Person
) -> None:
    reader = make_user(app, username="reader", email="reader@example.com")
    permit(app, bob, "users:write")
    permit(app, reader, "users:read")

    answers = {
        name: [status(signed_in(app, user), path) for path in PATHS]
        for name, user in {"ada": ada, "bob": bob, "reader": reader}.items()
    }

    assert answers == {"ada": [403] * 3, "bob": [403, 403, 200], "reader": [303, 200, 403]}
    assert [status(grace_at_home, path) for path in PATHS] == [303, 200, 200]
    assert grace_at_home.open("/admin").path == PATH


def test_a_role_that_demands_a_second_factor_leads_to_it(app: Flask, bob: User) -> None:
    role = make_role(app, "support", "users:read")
    with app.app_context():
        db.session.execute(update(Role).values(require_mfa=True))
        db.session.commit()
    give_role(app, bob, role)
    person = signed_in(app, bob)

    for path in ("/admin", PATH):
        answer = person.ask("GET", path)
        assert (answer.status_code, answer.location) == (303, "/account/security"), path


def test_a_right_that_is_taken_is_gone_at_the_next_request(app: Flask, bob: User) -> None:
    permit(app, bob, "users:read")
    person = signed_in(app, bob)
    assert status(person, PATH) == 200

    take_roles(app, bob)

    assert status(person, PATH) == 403


def test_the_link_to_the_administration_is_for_those_who_may_open_it(
    app: Flask, ada_at_home: Person, bob: User, grace_at_home: Person
) -> None:
    permit(app, bob, "users:read")

    assert "/admin" not in ada_at_home.open("/account").links
    assert "/admin" in signed_in(app, bob).open("/account").links
    assert "/admin" in grace_at_home.open("/account").links


def test_the_menu_has_only_what_somebody_may_open(app: Flask, bob: User) -> None:
    permit(app, bob, "users:read")

    links = set(signed_in(app, bob).open(PATH).links)

    assert links & {path for path, *_ in menu.PAGES} == {PATH}


def test_people_are_found_by_text_and_by_filters(
    app: Flask, ada: User, bob: User, grace_at_home: Person
) -> None:
    make_user(app, username="gone", email="gone@example.com", active=False)
    give_role(app, bob, make_role(app, "support"))

    for query, found in {
        "q=ADA": {"ada"},
        "q=%25": set(),
        "is_active=false": {"gone"},
        "is_active=&q=&role=&created_after=": {"ada", "bob", "gone", "grace"},
        "is_superuser=true": {"grace"},
        "role=support": {"bob"},
        "role=unknown": set(),
        "second_step=true": set(),
        "email_verified=true&q=zzz": set(),
        "created_before=2000-01-01": set(),
        "created_after=2000-01-01&is_superuser=false&is_active=true": {"ada", "bob"},
    }.items():
        page = grace_at_home.open(f"{PATH}?{query}")
        assert (page.status, set(names(page))) == (200, found), query

    assert names(grace_at_home.open(f"{PATH}?sort=username")) == ["ada", "bob", "gone", "grace"]


def test_pages_of_people_follow_each_other_and_keep_the_search(
    app: Flask, ada: User, bob: User, grace_at_home: Person
) -> None:
    first = grace_at_home.open(f"{PATH}?limit=2&sort=email&q=example.com")
    [more] = [link for link in first.links if "cursor=" in link]
    second = grace_at_home.open(more)

    assert (names(first), names(second)) == (["ada", "bob"], ["grace"])
    assert f"{PATH}?limit=2&sort=email&q=example.com" in second.links


def test_a_search_that_cannot_be_read_says_so(grace_at_home: Person) -> None:
    for query in ("cursor=nonsense", "sort=secret", "created_after=soon", "unknown=1"):
        page = grace_at_home.open(f"{PATH}?{query}")
        assert (page.status, names(page)) == (422, []), query
        assert page.summary, query


def test_who_has_a_role_is_told_only_to_those_who_may_see_roles(app: Flask, bob: User) -> None:
    permit(app, bob, "users:read")
    person = signed_in(app, bob)

    assert "role" not in person.open(PATH).forms[1].names
    assert status(person, f"{PATH}?role=support") == 403


def test_what_people_call_themselves_stays_text(app: Flask, grace_at_home: Person) -> None:
    payload = '"><script>alert(1)</script>'
    make_user(app, username="mallory", email="mallory@example.com", full_name=payload)

    page = grace_at_home.open(f"{PATH}?q={quote(payload)}")

    assert names(page) == ["mallory"]
    assert payload in page.text
    assert "<script>alert" not in page.html


def test_an_invitation_is_mailed(grace_at_home: Person, mailbox: Mailbox, ada: User) -> None:
    page = grace_at_home.open("/admin/users/new")
    taken = grace_at_home.send(page, email=ada.email, username="newcomer")
    assert taken.status == 422
    assert set(taken.errors) == {"email"}

    answer = grace_at_home.send(taken, email="new@example.com")

    page = grace_at_home.follow(answer)
    assert page.notice.startswith("The account is made")
    assert "<h1>newcomer</h1>" in page.html
    assert [mail.to for mail in mailbox.deliver()] == ["new@example.com"]
    assert names(grace_at_home.open(f"{PATH}?q=new@")) == ["newcomer"]


def test_only_a_superuser_can_invite_one(app: Flask, bob: User) -> None:
    permit(app, bob, "users:write")
    person = signed_in(app, bob)
    page = person.open("/admin/users/new")
    assert "is_superuser" not in page.form().names

    data = page.form().fields | {
        "email": "new@example.com",
        "username": "newcomer",
        "is_superuser": "true",
    }

    assert person.ask("POST", "/admin/users/new", data=data).status_code == 403
