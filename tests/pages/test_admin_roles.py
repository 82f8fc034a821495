"""The pages of roles."""

from collections.abc import Callable
from datetime import timedelta

from flask import Flask
from sqlalchemy import select

from app.extensions import db
from app.models import Role, RolePermission, User
from tests.factories import give_role, make_role, make_user, permit
from tests.pages.person import Page, Person, signed_in

PATH = "/admin/roles"


def stored(app: Flask, name: str) -> Role | None:
    with app.app_context():
        role: Role | None = db.session.scalar(select(Role).where(Role.name == name))
        return role


def box(permission: str) -> str:
    return f"permissions.{permission}"


def test_the_list_says_what_roles_permit_and_who_has_them(
    app: Flask, bob: User, grace_at_home: Person
) -> None:
    support = make_role(app, "support", "users:read", "gone:read")
    make_role(app, "nothing")
    give_role(app, bob, support)
    for number in range(6):
        name = f"helper{number}"
        give_role(app, make_user(app, username=name, email=f"{name}@example.com"), support)

    page = grace_at_home.open(PATH)

    assert "See all accounts. users:read" in page.text
    assert "gone:read" in page.text
    assert "Nobody has this role." in page.text
    assert "/admin/users?role=support" in page.links
    named = [link for link in page.links if link.startswith("/admin/users/")]
    assert len(named) == 5
    one = grace_at_home.open(f"{PATH}/{support.id}")
    assert "7 people:" in one.text
    assert "/admin/users?role=support" in one.links


def test_names_are_for_those_who_may_see_accounts(app: Flask, ada: User, bob: User) -> None:
    support = make_role(app, "support", "notes:read")
    give_role(app, ada, support)
    permit(app, bob, "roles:read")
    person = signed_in(app, bob)

    for path in (PATH, f"{PATH}/{support.id}"):
        page = person.open(path)
        assert f"account {ada.id}" in page.text, path
        assert f"/admin/users/{ada.id}" not in page.links, path
        assert "ada" not in page.lasting_html, path


def test_a_role_is_made_changed_and_deleted(app: Flask, bob: User, grace_at_home: Person) -> None:
    page = grace_at_home.open(f"{PATH}/new")
    answer = grace_at_home.send(
        page, name="support", description="Helps", **{box("users:read"): "true"}
    )
    assert grace_at_home.follow(answer).notice == "The role is made."
    role = stored(app, "support")
    assert role is not None
    assert (role.description, role.permissions, role.require_mfa) == (
        *("Helps", ["users:read"]),
        False,
    )

    give_role(app, bob, role)
    path = f"{PATH}/{role.id}"
    page = grace_at_home.open(path)
    answer = grace_at_home.send(
        page, path, description="", require_mfa="true",
        **{box("users:read"): "false", box("audit:read"): "true"},
    )  # fmt: skip
    page = grace_at_home.follow(answer)
    assert page.notice.startswith("The role is saved.")
    role = stored(app, "support")
    assert role is not None
    assert (role.description, role.permissions, role.require_mfa) == (None, ["audit:read"], True)

    assert "It is taken from 1 person," in page.text
    answer = grace_at_home.send(page, f"{path}/delete")
    assert grace_at_home.follow(answer).notice == "The role is deleted."
    assert stored(app, "support") is None


def test_a_page_that_is_older_than_the_role_gives_nothing_back(
    app: Flask, grace_at_home: Person
) -> None:
    role = make_role(app, "support", "users:read", "users:delete")
    path = f"{PATH}/{role.id}"
    old = grace_at_home.open(path)
    answer = grace_at_home.send(grace_at_home.open(path), path, **{box("users:delete"): "false"})
    assert answer.status == 303

    answer = grace_at_home.send(old, path, description="Helps")

    assert answer.status == 422
    assert "Somebody has changed this" in answer.summary
    assert stored(app, "support").permissions == ["users:read"]  # type: ignore[union-attr]
    # Sending the same page once more does not help.
    assert grace_at_home.send(answer, path).status == 422
    assert grace_at_home.send(grace_at_home.open(path), path, description="Helps").status == 303
    assert stored(app, "support").permissions == ["users:read"]  # type: ignore[union-attr]


def test_a_form_that_is_refused_keeps_what_was_typed(app: Flask, grace_at_home: Person) -> None:
    support = make_role(app, "support", "users:read")
    make_role(app, "taken")

    for path in (f"{PATH}/new", f"{PATH}/{support.id}"):
        page = grace_at_home.open(path)
        for name in ("taken", "Not a name", ""):
            answer = grace_at_home.send(page, path, name=name, **{box("roles:read"): "true"})
            assert (answer.status, set(answer.errors)) == (422, {"name"}), (path, name)
            fields = answer.form(path).fields
            assert (fields["name"], fields[box("roles:read")]) == (name, "true")
    data = grace_at_home.open(f"{PATH}/new").form().fields | {"name": "x", box("no:such"): "true"}
    assert grace_at_home.ask("POST", f"{PATH}/new", data=data).status_code == 422
    assert stored(app, "x") is None


def test_nobody_gives_rights_that_they_lack(app: Flask, bob: User) -> None:
    permit(app, bob, "roles:read", "roles:write", "users:read")
    strong = make_role(app, "strong", "users:delete")
    person = signed_in(app, bob)

    page = person.open(f"{PATH}/new")
    assert page.html.count("disabled") == page.text.count("You do not have this right yourself.")
    assert box("users:delete") not in page.form().fields
    data = page.form().fields | {"name": "sly", box("users:delete"): "true"}
    assert person.ask("POST", f"{PATH}/new", data=data).status_code == 403
    assert stored(app, "sly") is None

    path = f"{PATH}/{make_role(app, 'weak', 'users:read').id}"
    data = person.open(path).form(path).fields | {box("users:delete"): "true"}
    assert person.ask("POST", path, data=data).status_code == 403
    assert stored(app, "weak").permissions == ["users:read"]  # type: ignore[union-attr]

    page = person.open(f"{PATH}/{strong.id}")
    assert "The role has permissions that you do not have" in page.text
    assert not [form for form in page.forms if form.action.startswith(PATH)]
    for path in (f"{PATH}/{strong.id}", f"{PATH}/{strong.id}/delete"):
        data = {"csrf_token": data["csrf_token"], "name": "weak", "as_read": "x"}
        assert Page(person.ask("POST", path, data=data)).status == 403, path
    assert stored(app, "strong") is not None


def test_a_permission_that_nothing_declares_is_named_and_gone_after_saving(
    app: Flask, grace_at_home: Person
) -> None:
    role = make_role(app, "old", "users:read", "gone:read")
    path = f"{PATH}/{role.id}"
    page = grace_at_home.open(path)

    assert "If you save it, they are gone: gone:read" in page.text
    grace_at_home.send(page, path)

    with app.app_context():
        assert db.session.scalars(select(RolePermission.permission)).all() == ["users:read"]


def test_changes_need_a_recent_login(
    app: Flask, grace: User, set_settings: Callable[..., None]
) -> None:
    role = make_role(app, "support", "users:read")
    person = signed_in(app, grace)
    token = {"csrf_token": person.open(PATH).forms[0].fields["csrf_token"], "name": "other"}
    set_settings(fresh_token_lifetime=timedelta(0))

    for below in ("new", str(role.id), f"{role.id}/delete"):
        answer = person.ask("POST", f"{PATH}/{below}", data=token)
        page = f"{PATH}/{below.removesuffix('/delete')}".replace("/", "%2F")
        assert answer.location == f"/account/reauthenticate?next={page}", below
    assert stored(app, "support") is not None


def test_pages_of_roles_follow_each_other(app: Flask, grace_at_home: Person) -> None:
    for number in range(21):
        make_role(app, f"role-{number}")

    first = grace_at_home.open(PATH)
    [more] = [link for link in first.links if "cursor=" in link]

    assert "role-20" not in first.text
    assert "role-20" in grace_at_home.open(more).text
