"""The administration page of one account, and what its buttons do."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

from flask import Flask
from sqlalchemy import select

from app.auth.login.throttle import Kind
from app.extensions import db
from app.models import Session, User
from app.models.user import NO_DOMAIN
from tests.auth.mfa.phone import enrol
from tests.cases import each
from tests.factories import give_role, make_role, make_user, permit
from tests.mailbox import Mailbox
from tests.pages.person import Page, Person, signed_in
from tests.pages.scenes.visit import Visit

# The way below the page of a person → the permission.
ACTIONS = {
    "password-reset": "users:write",
    "activate": "users:write",
    "deactivate": "users:write",
    "promote": "users:write",
    "demote": "users:write",
    "verify": "users:write",
    "unlock": "users:write",
    "end-sessions": "sessions:revoke",
    "delete": "users:delete",
    "factors/reset": "factors:reset",
}
FRESH = ACTIONS.keys() - {"password-reset", "end-sessions"}
EVERYTHING = ("users:read", "factors:read", *{*ACTIONS.values()})


def path_of(user: User, below: str = "") -> str:
    return f"/admin/users/{user.id}{below and '/'}{below}"


def press(person: Person, path: str) -> Page:
    """Send the form of this path, whether or not a page shows it."""
    forms = person.open("/account").forms
    token = forms[0].fields["csrf_token"]
    return Page(person.ask("POST", path, data={"csrf_token": token}))


def stored(app: Flask, user: User) -> User | None:
    with app.app_context():
        return db.session.get(User, user.id)


def test_each_page_and_button_needs_its_permission(
    app: Flask, ada: User, bob: User, ada_at_home: Person
) -> None:
    target = make_user(app, username="carol", email="carol@example.com")
    paths = [path_of(target), path_of(target, "factors")]

    assert [ada_at_home.ask("GET", path).status_code for path in paths] == [403, 403]
    assert [ada_at_home.ask("GET", path_of(ada)).status_code] == [403]
    for action in ACTIONS:
        assert press(ada_at_home, path_of(target, action)).status == 403, action

    permit(app, bob, *EVERYTHING)
    person = signed_in(app, bob)
    assert [person.ask("GET", path).status_code for path in paths] == [200, 200]
    assert [person.ask("GET", path_of(ada, "nothing")).status_code] == [404]


@each("permission", sorted(set(ACTIONS.values())))
def test_a_button_without_its_permission_is_neither_shown_nor_obeyed(
    app: Flask, ada: User, permission: str
) -> None:
    name = f"helper-{permission.replace(':', '-')}"
    helper = make_user(app, username=name, email=f"{name}@example.com")
    permit(app, helper, *({*EVERYTHING} - {permission}))
    person = signed_in(app, helper)

    pages = [person.open(path_of(ada)), person.open(path_of(ada, "factors"))]

    shown = {form.action for page in pages for form in page.forms}
    for action in (action for action, wanted in ACTIONS.items() if wanted == permission):
        assert path_of(ada, action) not in shown
        assert press(person, path_of(ada, action)).status == 403


def test_an_old_login_leads_to_its_confirmation_and_back(
    set_settings: Callable[..., None], app: Flask, grace: User, ada: User
) -> None:
    person = signed_in(app, grace)
    set_settings(fresh_token_lifetime=timedelta(0))

    for action in sorted(FRESH):
        answer = press(person, path_of(ada, action))
        page = "factors" if action == "factors/reset" else ""
        assert answer.status == 303, action
        assert answer.answer.location == (
            "/account/reauthenticate?next=" + path_of(ada, page).replace("/", "%2F")
        )
    assert stored(app, ada) is not None


def test_nobody_there_is_not_found(grace_at_home: Person, grace: User) -> None:
    for path in ("/admin/users/999", "/admin/users/999/factors", "/admin/users/none"):
        assert grace_at_home.ask("GET", path).status_code == 404, path
    for action in ACTIONS:
        assert press(grace_at_home, f"/admin/users/999/{action}").status == 404, action


def test_the_page_says_who_it_is_and_what_happened(
    app: Flask, grace_at_home: Person, ada: User, ada_at_home: Person
) -> None:
    permit(app, ada, "notes:write")
    grace_at_home.send(grace_at_home.open(path_of(ada)), path_of(ada, "password-reset"))

    page = grace_at_home.open(path_of(ada))

    assert ada.email in page.text
    assert "role-" in page.text
    assert "Devices Werkzeug" in page.text
    assert "ada logged in" in page.text
    assert "grace sent ada a link for a new password." in page.text
    assert {f"/admin/audit?subject={ada.id}", f"/admin/audit?actor={ada.id}"} <= set(page.links)


def test_each_button_does_what_it_says(
    app: Flask, grace_at_home: Person, ada: User, ada_at_home: Person, mailbox: Mailbox
) -> None:
    def pressed(action: str) -> tuple[str, Any]:
        page = grace_at_home.open(path_of(ada))
        answer = grace_at_home.send(page, path_of(ada, action))
        return grace_at_home.follow(answer).notice, stored(app, ada)

    notice, _ = pressed("password-reset")
    assert notice == "The link is on its way."
    assert ada.email in [mail.to for mail in mailbox.deliver()]

    notice, _ = pressed("end-sessions")
    assert notice == "The account is signed out everywhere."
    assert ada_at_home.open("/account").path == "/account/login"

    assert pressed("deactivate")[1].is_active is False
    assert pressed("activate")[1].is_active is True
    assert pressed("promote")[1].is_superuser is True
    assert pressed("demote")[1].is_superuser is False

    notice, left = pressed("delete")
    assert (notice, left) == ("The account is deleted.", None)


def test_an_invitation_is_mailed_again(app: Flask, grace_at_home: Person, mailbox: Mailbox) -> None:
    newcomer = make_user(app, username="new", email="new@example.com", password_hash=None)

    page = grace_at_home.open(path_of(newcomer))
    assert "Invite again" in page.text
    grace_at_home.send(page, path_of(newcomer, "password-reset"))

    assert [mail.page for mail in mailbox.deliver()] == ["accept-invitation"]


def test_the_last_superuser_stays_and_the_page_says_why(
    app: Flask, grace_at_home: Person, grace: User
) -> None:
    page = grace_at_home.open(path_of(grace))
    assert "This is the last active superuser" in page.text
    for action in ("deactivate", "demote", "delete"):
        assert path_of(grace, action) not in [form.action for form in page.forms]
        answer = press(grace_at_home, path_of(grace, action))
        assert answer.status == 422, action
        assert "This is the last active superuser." in answer.summary, action
    assert stored(app, grace).is_superuser  # type: ignore[union-attr]


def test_a_failed_login_is_explained_and_forgotten(
    app: Flask, grace_at_home: Person, ada: User
) -> None:
    Visit(app).suspend(ada)
    page = grace_at_home.open(path_of(ada))
    assert "too many wrong passwords" in page.text

    answer = grace_at_home.send(page, path_of(ada, "unlock"))

    shown = grace_at_home.follow(answer)
    assert shown.notice == "The failed logins are forgotten."
    assert "grace let ada log in again after too many failures." in shown.text
    assert path_of(ada, "unlock") not in [form.action for form in shown.forms]
    again = grace_at_home.follow(press(grace_at_home, path_of(ada, "unlock")))
    assert again.notice == "There were no failed logins."


def test_nobody_forgets_their_own_wrong_codes(app: Flask, bob: User) -> None:
    """Otherwise somebody who knows only the password could guess codes without end."""
    permit(app, bob, "users:read", "users:write")
    bob_at_home = signed_in(app, bob)
    Visit(app).suspend(bob, Kind.FACTOR)
    page = bob_at_home.open(path_of(bob))
    assert "too many wrong codes" in page.text

    press(bob_at_home, path_of(bob, "unlock"))

    assert path_of(bob, "unlock") not in [form.action for form in page.forms]
    assert "too many wrong codes" in bob_at_home.open(path_of(bob)).text


def test_only_superusers_confirm_an_address_without_its_mailbox(
    app: Flask, grace_at_home: Person, ada: User, bob: User
) -> None:
    permit(app, ada, *EVERYTHING)
    helper = signed_in(app, ada)
    assert path_of(bob, "verify") not in [form.action for form in helper.open(path_of(bob)).forms]
    assert press(helper, path_of(bob, "verify")).status == 403

    answer = grace_at_home.send(grace_at_home.open(path_of(bob)), path_of(bob, "verify"))

    assert grace_at_home.follow(answer).notice == "The email address counts as confirmed."
    assert stored(app, bob).email_verified  # type: ignore[union-attr]
    again = grace_at_home.follow(press(grace_at_home, path_of(bob, "verify")))
    assert again.notice == "The email address was confirmed already."


def test_an_account_without_an_address_gets_neither_links_nor_a_confirmation(
    app: Flask, grace_at_home: Person
) -> None:
    lost = make_user(app, username="lost", email=f"x@{NO_DOMAIN}")

    page = grace_at_home.open(path_of(lost))

    shown = {form.action for form in page.forms}
    assert not shown & {path_of(lost, "verify"), path_of(lost, "password-reset")}
    assert "has no email address" in page.text
    assert press(grace_at_home, path_of(lost, "verify")).status == 404


def test_one_device_is_signed_out_and_none_of_somebody_else(
    app: Flask, grace_at_home: Person, ada: User, bob: User, ada_at_home: Person
) -> None:
    [device] = [
        form.action.removeprefix(path_of(ada) + "/")
        for form in grace_at_home.open(path_of(ada)).forms
        if form.action.startswith(path_of(ada, "sessions"))
    ]

    assert press(grace_at_home, path_of(bob, device)).status == 404
    assert ada_at_home.open("/account").path == "/account"
    answer = grace_at_home.send(grace_at_home.open(path_of(ada)), path_of(ada, device))

    assert grace_at_home.follow(answer).notice == "That device is signed out."
    assert ada_at_home.open("/account").path == "/account/login"
    assert press(grace_at_home, path_of(ada, device)).status == 404
    told = signed_in(app, ada).open("/account/activity").text
    assert "An administrator signed out one of your devices." in told


def test_a_role_is_given_and_taken_away(app: Flask, grace_at_home: Person, ada: User) -> None:
    role = make_role(app, "support", "users:read")
    page = grace_at_home.open(path_of(ada))

    given = grace_at_home.send(page, path_of(ada, "roles"), role=str(role.id))
    shown = grace_at_home.follow(given)
    assert (shown.notice, "users:read" in shown.text) == ("The role is given.", True)
    taken = grace_at_home.send(shown, path_of(ada, f"roles/{role.id}/take"))

    assert grace_at_home.follow(taken).notice == "The role is taken away."
    refused = press(grace_at_home, path_of(ada, "roles"))
    assert (refused.status, "Role" in refused.summary) == (422, True)


def test_nobody_gives_or_takes_a_role_beyond_their_rights(app: Flask, ada: User, bob: User) -> None:
    permit(app, bob, "users:read", "roles:read", "roles:write")
    greater = make_role(app, "greater", "users:delete")
    lesser = make_role(app, "lesser", "users:read")
    target = make_user(app, username="target", email="target@example.com")
    give_role(app, ada, greater)
    person = signed_in(app, bob)

    page = person.open(path_of(target))
    assert page.form(path_of(target, "roles")).fields["role"]
    assert "greater" not in page.text
    assert "lesser" in page.text
    token = page.forms[0].fields["csrf_token"]
    for role, status in ((greater, 403), (lesser, 303)):
        data = {"csrf_token": token, "role": str(role.id)}
        assert person.ask("POST", path_of(target, "roles"), data=data).status_code == status
    assert press(person, path_of(ada, f"roles/{greater.id}/take")).status == 403
    give_role(app, bob, greater)
    assert press(person, path_of(ada, f"roles/{greater.id}/take")).status == 303


def test_mails_on_their_way_are_shown_to_superusers(
    app: Flask, grace_at_home: Person, ada: User, bob: User
) -> None:
    permit(app, bob, *EVERYTHING)
    grace_at_home.send(grace_at_home.open(path_of(ada)), path_of(ada, "password-reset"))

    assert "Mails on their way password_reset" in grace_at_home.open(path_of(ada)).text
    assert "password_reset" not in signed_in(app, bob).open(path_of(ada)).text


def test_a_refusal_shows_no_account_to_somebody_who_may_not_see_it(
    app: Flask, ada: User, bob: User
) -> None:
    permit(app, bob, "roles:write")
    person = signed_in(app, bob)

    answer = press(person, path_of(ada, "roles"))

    assert answer.status == 403
    assert ada.email not in answer.text


def test_somebody_with_more_rights_cannot_be_changed(app: Flask, bob: User, grace: User) -> None:
    permit(app, bob, *EVERYTHING)
    person = signed_in(app, bob)

    for below in ("", "factors"):
        page = person.open(path_of(grace, below))
        assert "has rights that you do not have" in page.text
        assert not [form for form in page.forms if form.action.startswith("/admin")]
    for action in ACTIONS:
        assert press(person, path_of(grace, action)).status == 403, action


def test_only_superusers_make_superusers(app: Flask, ada: User, bob: User) -> None:
    permit(app, bob, *EVERYTHING)
    person = signed_in(app, bob)

    assert press(person, path_of(ada, "promote")).status == 403
    assert stored(app, ada).is_superuser is False  # type: ignore[union-attr]


def test_factors_of_others_are_removed_and_own_ones_are_not(
    app: Flask, grace_at_home: Person, grace: User, ada: User, ada_at_home: Person
) -> None:
    own = grace_at_home.open(path_of(grace, "factors"))
    assert "You cannot remove your own second factors here." in own.text
    assert press(grace_at_home, path_of(grace, "factors/reset")).status == 403

    page = grace_at_home.open(path_of(ada, "factors"))
    nothing = grace_at_home.send(page, path_of(ada, "factors/reset"))
    assert grace_at_home.follow(nothing).notice == "There was no second factor to remove."
    enrol(app.test_client(), ada)
    answer = grace_at_home.send(page, path_of(ada, "factors/reset"))

    assert grace_at_home.follow(answer).notice.startswith("The second factors are removed")
    with app.app_context():
        sessions = db.session.scalars(select(Session).where(Session.user_id == ada.id)).all()
        assert sessions
        assert all(session.ended_at for session in sessions)


def test_what_people_call_themselves_stays_text(app: Flask, grace_at_home: Person) -> None:
    payload = "\"><script>alert(1)</script>'"
    mallory = make_user(app, username="mallory", email="m@example.com", full_name=payload)

    for below in ("", "factors"):
        page = grace_at_home.open(path_of(mallory, below))
        assert payload in page.text
        assert "<script>alert" not in page.html
