"""What administrators do with many accounts at once, and the file of them."""

import csv
import io
from collections.abc import Callable
from datetime import timedelta

from flask import Flask
from sqlalchemy import select

from app.extensions import db
from app.models import AuditEvent, User
from app.pages.admin import selection
from tests.factories import give_role, log_in, make_role, make_user, me, permit
from tests.pages.person import Page, Person, signed_in

PATH = "/admin/users"
SELECTED = f"{PATH}/selected"


def choose(person: Person, label: str, *users: User) -> Page:
    boxes = {f"user-{user.id}": "true" for user in users}
    return person.send(person.open(PATH), SELECTED, press=label, **boxes)


def cells(page: Page) -> list[dict[str, str]]:
    """The rows of a file."""
    answer = page.answer
    assert answer.mimetype == "text/csv"
    assert answer.headers["Content-Disposition"].startswith("attachment; filename=")
    assert answer.headers["Cache-Control"] == "no-store"
    return list(csv.DictReader(io.StringIO(answer.data.decode("utf-8-sig"), newline="")))


def active(app: Flask) -> dict[str, bool]:
    with app.app_context():
        rows = db.session.execute(select(User.username, User.is_active))
        return {row.username: row.is_active for row in rows}


def test_those_that_are_chosen_are_named_and_then_deactivated(
    app: Flask, grace_at_home: Person, ada: User, bob: User, ada_at_home: Person
) -> None:
    asking = grace_at_home.follow(choose(grace_at_home, "Deactivate", ada))
    assert asking.heading == "Deactivate these accounts?"
    assert ada.email in asking.text
    assert bob.email not in asking.text
    assert active(app) == {"ada": True, "bob": True, "grace": True}

    done = grace_at_home.send(asking, f"{SELECTED}/deactivate")

    assert done.heading == "These accounts are deactivated and signed out everywhere."
    assert ada.email in done.text
    assert active(app) == {"ada": False, "bob": True, "grace": True}
    assert ada_at_home.open("/account").path == "/account/login"
    with app.app_context():
        found = db.session.scalar(select(AuditEvent).where(AuditEvent.event == "user_deactivated"))
        assert found is not None
        assert (found.subject_id, found.actor_id) != (None, None)


def test_those_that_are_chosen_are_signed_out(
    app: Flask, grace_at_home: Person, ada: User, bob: User
) -> None:
    token = log_in(app.test_client(), ada)["access_token"]
    asking = grace_at_home.follow(choose(grace_at_home, "Sign out everywhere", ada, bob))

    done = grace_at_home.send(asking, f"{SELECTED}/end-sessions")

    assert done.heading == "These people are signed out everywhere."
    assert me(app.test_client(), token).status_code == 401


def test_nobody_is_touched_beyond_rights_and_the_others_are(
    app: Flask, ada: User, bob: User, grace: User
) -> None:
    permit(app, bob, "users:read", "users:write")
    helper = make_user(app, username="helper", email="helper@example.com")
    give_role(app, helper, make_role(app, "deleting", "users:delete"))
    person = signed_in(app, bob)

    asking = person.follow(choose(person, "Deactivate", ada, bob, grace, helper))
    assert asking.form(f"{SELECTED}/deactivate").fields["people"] == str(ada.id)
    assert asking.text.count("has rights that you do not have") == 2
    assert "This is your own account." in asking.text

    # Somebody sends the form with the others, too.
    everybody = f"{ada.id}.{bob.id}.{grace.id}.{helper.id}.999.x"
    done = person.send(asking, f"{SELECTED}/deactivate", people=everybody)

    assert done.status == 200
    assert done.text.count("has rights that you do not have") == 2
    assert "This is your own account." in done.text
    assert active(app) == {"ada": False, "bob": True, "grace": True, "helper": True}


def test_the_last_superuser_is_left_and_the_page_says_why(
    app: Flask, grace_at_home: Person, grace: User, ada: User
) -> None:
    asking = grace_at_home.follow(choose(grace_at_home, "Deactivate", ada))

    done = grace_at_home.send(asking, f"{SELECTED}/deactivate", people=str(grace.id))

    assert done.heading == "No account was deactivated."
    assert "This is your own account." in done.text
    assert active(app)["grace"] is True


def test_an_old_login_is_confirmed_and_leads_back_to_those_that_were_chosen(
    app: Flask, grace_at_home: Person, ada: User, set_settings: Callable[..., None]
) -> None:
    set_settings(fresh_token_lifetime=timedelta(0))

    asking = grace_at_home.follow(choose(grace_at_home, "Deactivate", ada))

    assert not [form for form in asking.forms if form.action == f"{SELECTED}/deactivate"]
    [confirm] = [link for link in asking.links if "reauthenticate" in link]
    assert confirm.endswith(f"%3Fpeople%3D{ada.id}")


def test_nobody_chosen_is_refused_and_the_list_stays(
    grace_at_home: Person, ada: User, bob: User
) -> None:
    page = grace_at_home.open(f"{PATH}?q=ada")

    refused = grace_at_home.send(page, SELECTED, press="Deactivate")

    assert (refused.status, refused.summary) == (
        422,
        "There is a problem Choose somebody in the list first. ",
    )
    assert ada.email in refused.text
    assert bob.email not in refused.text


def test_the_file_has_those_that_are_chosen_or_everybody_found(
    app: Flask, grace_at_home: Person, ada: User, bob: User, grace: User
) -> None:
    make_user(app, username="gone", email="gone@example.com", active=False)

    chosen = choose(grace_at_home, "Download as CSV", ada, grace)
    page = grace_at_home.open(f"{PATH}?is_active=true&q=example.com&sort=email&limit=1")
    found = grace_at_home.send(page, f"{PATH}/export")

    assert [row["username"] for row in cells(chosen)] == ["ada", "grace"]
    rows = {row["username"]: row for row in cells(found)}
    assert sorted(rows) == ["ada", "bob", "grace"]
    assert rows["ada"] | {"created_at": ""} == {
        "id": str(ada.id),
        "username": "ada",
        "email": ada.email,
        "full_name": "",
        "is_active": "true",
        "is_superuser": "false",
        "email_verified": "true",
        "second_step": "false",
        "created_at": "",
        "deletion_due_at": "",
    }


def test_no_name_in_the_file_is_a_formula(app: Flask, grace_at_home: Person) -> None:
    attack = '=HYPERLINK("https://evil.example";"x")'
    make_user(app, username="mallory", email="m@example.com", full_name=attack)

    rows = cells(grace_at_home.send(grace_at_home.open(PATH), f"{PATH}/export"))

    assert {row["full_name"] for row in rows} == {"", f"'{attack}"}


def test_who_has_a_role_is_not_told_by_the_file(app: Flask, bob: User) -> None:
    permit(app, bob, "users:read")
    person = signed_in(app, bob)
    fields = person.open(PATH).form(f"{PATH}/export").fields

    answer = person.ask("POST", f"{PATH}/export", data=fields | {"role": "support"})

    assert answer.status_code == 403


def test_only_what_one_may_do_with_many_is_shown(app: Flask, bob: User) -> None:
    permit(app, bob, "users:read")

    buttons = signed_in(app, bob).open(PATH).form(SELECTED).buttons

    assert [value for _, value in buttons.values()] == ["export"]


def test_no_more_people_are_chosen_than_a_page_has() -> None:
    boxes = {f"user-{number}": "true" for number in range(1, 100)}

    assert selection.checked(boxes) == [*range(1, selection.MOST + 1)]


def test_a_number_of_thousands_of_digits_is_nobody() -> None:
    """Python refuses to read it as a number."""
    assert selection.checked({f"user-{'9' * 5000}": "true", "user-7": "true"}) == [7]
