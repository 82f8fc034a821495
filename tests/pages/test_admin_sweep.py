"""Who may open which page of the administration, and send which form: one table.

Each row is asked by nobody, by somebody without rights, by somebody with one
permission for each permission that there is, and by superusers. Add a row for
a new page; without one the first test fails.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

from flask import Flask
from sqlalchemy import update

from app import clock
from app.access import permissions
from app.api_keys.models import ApiKey
from app.extensions import db
from app.models import User
from app.pages.admin import menu
from tests.audit.log import write
from tests.factories import claims_of, log_in, make_role, make_user, permit
from tests.mail.letters import queue
from tests.pages.person import Person, signed_in
from tests.pages.routes import page_routes

# For rows that only a superuser may open.
SUPERUSERS = "superusers"
# For rows that everybody may open who may open a page of the menu.
OF_ANY_PAGE = "any page"


@dataclass(frozen=True)
class Row:
    """What a page or a form needs, and how it answers somebody who may."""

    # The permissions that together suffice, or SUPERUSERS or OF_ANY_PAGE.
    needs: str | tuple[str, ...]
    status: int = 200
    # The fields of a form, beside the one against other sites. They may have variables, too.
    fields: dict[str, str] = field(default_factory=dict)

    def is_open_with(self, permission: str) -> bool:
        if self.needs == OF_ANY_PAGE:
            return permission in {str(one) for path, _, one in menu.PAGES if f"GET {path}" in ROWS}
        return self.needs in (permission, (permission,))


PEOPLE = {"people": "<digits:user_id>"}
ONE = "/admin/users/<digits:user_id>"
ROLE = "/admin/roles/<digits:role_id>"
ROWS = {
    "GET /admin": Row(OF_ANY_PAGE, 303),
    "GET /admin/users": Row("users:read"),
    "GET /admin/users/new": Row("users:write"),
    # Nothing is filled in.
    "POST /admin/users/new": Row("users:write", 422),
    # Nobody is chosen.
    "POST /admin/users/selected": Row("users:read", 422),
    "POST /admin/users/export": Row("users:read"),
    "GET /admin/users/selected/deactivate": Row(("users:read", "users:write")),
    "POST /admin/users/selected/deactivate": Row(("users:read", "users:write"), 200, PEOPLE),
    "GET /admin/users/selected/end-sessions": Row(("users:read", "sessions:revoke")),
    "POST /admin/users/selected/end-sessions": Row(("users:read", "sessions:revoke"), 200, PEOPLE),
    f"GET {ONE}": Row("users:read"),
    f"POST {ONE}/password-reset": Row("users:write", 303),
    f"POST {ONE}/activate": Row("users:write", 303),
    f"POST {ONE}/deactivate": Row("users:write", 303),
    f"POST {ONE}/promote": Row(SUPERUSERS, 303),
    f"POST {ONE}/demote": Row("users:write", 303),
    f"POST {ONE}/end-sessions": Row("sessions:revoke", 303),
    f"POST {ONE}/sessions/<uuid:session_id>/end": Row("sessions:revoke", 303),
    f"POST {ONE}/verify": Row(SUPERUSERS, 303),
    f"POST {ONE}/unlock": Row("users:write", 303),
    f"POST {ONE}/roles": Row("roles:write", 303, {"role": "<digits:role_id>"}),
    f"POST {ONE}/roles/<digits:role_id>/take": Row("roles:write", 303),
    f"POST {ONE}/delete": Row("users:delete", 303),
    f"GET {ONE}/factors": Row("factors:read"),
    f"POST {ONE}/factors/reset": Row("factors:reset", 303),
    "GET /admin/system": Row(SUPERUSERS),
    "GET /admin/mail": Row(SUPERUSERS),
    "GET /admin/mail/<digits:number>": Row(SUPERUSERS),
    "POST /admin/mail/<digits:number>/retry": Row(SUPERUSERS, 303),
    "POST /admin/mail/<digits:number>/drop": Row(SUPERUSERS, 303),
    "GET /admin/roles": Row("roles:read"),
    "GET /admin/roles/new": Row("roles:write"),
    # Nothing is filled in.
    "POST /admin/roles/new": Row("roles:write", 422),
    f"GET {ROLE}": Row("roles:read"),
    f"POST {ROLE}": Row("roles:write", 422),
    f"POST {ROLE}/delete": Row("roles:write", 303),
    "GET /admin/audit": Row("audit:read"),
    "GET /admin/audit/<digits:event_id>": Row("audit:read"),
    "POST /admin/audit/export": Row("audit:read"),
    f"GET {ONE}/keys": Row("keys:read"),
    f"POST {ONE}/keys/<uuid:key_id>/revoke": Row("keys:revoke", 303),
}


# What stands for the variables of a row: something that everybody who has the permission may see
# and change, new for each request. Add a function for a new kind of thing. It gets what stands for
# the variables before it.


def new_person(app: Flask, made: dict[str, Any]) -> int:
    name = f"person-{uuid4().hex[:12]}"
    return make_user(app, username=name, email=f"{name}@example.com").id


def new_role(app: Flask, made: dict[str, Any]) -> int:
    return make_role(app, f"role-{uuid4()}").id


def new_session(app: Flask, made: dict[str, Any]) -> str:
    with app.app_context():
        user = db.session.get_one(User, made["<digits:user_id>"])
        db.session.expunge(user)
    session: str = claims_of(log_in(app.test_client(), user)["access_token"])["sid"]
    return session


def new_mail(app: Flask, made: dict[str, Any]) -> int:
    return queue(app)


def new_event(app: Flask, made: dict[str, Any]) -> int:
    with app.app_context():
        (number,) = write()
    return number


def new_key(app: Flask, made: dict[str, Any]) -> UUID:
    now, user_id = clock.now(), made["<digits:user_id>"]
    words = {"name": "Backup", "prefix": "us_4fQz", "last4": "x9Kd", "scopes": "profile"}
    times = {"created_at": now, "rotated_at": now, "expires_at": now + timedelta(days=1)}
    with app.app_context():
        key = ApiKey(user_id=user_id, key_hash=uuid4().hex, networks="", aal=1, **words, **times)
        db.session.add(key)
        db.session.commit()
        return key.id


THINGS: dict[str, Callable[[Flask, dict[str, Any]], Any]] = {
    "<digits:user_id>": new_person,
    "<digits:role_id>": new_role,
    "<digits:number>": new_mail,
    "<uuid:session_id>": new_session,
    "<digits:event_id>": new_event,
    "<uuid:key_id>": new_key,
}


def asked(
    app: Flask, person: Person, token: str, route: str, made: dict[str, Any] | None = None
) -> tuple[int, str]:
    """The status of a page or a form, and where the answer leads.

    ``made`` says what stands for the variables, and gets what is made for the others.
    """
    method, rule = route.split()
    sent = {**ROWS[route].fields, "csrf_token": token}
    made = {} if made is None else made
    for variable, make in THINGS.items():
        if variable not in made and any(variable in text for text in (rule, *sent.values())):
            made[variable] = make(app, made)

    def filled_in(text: str) -> str:
        for variable, thing in made.items():
            text = text.replace(variable, str(thing))
        return text

    path = filled_in(rule)
    assert "<" not in path, f"THINGS says nothing about a variable of {rule}."
    form = {name: filled_in(text) for name, text in sent.items()}
    answer = person.ask(method, path, data=form if method == "POST" else None)
    return answer.status_code, answer.location or ""


def token_of(person: Person) -> str:
    """Of the form on any page: that of the login, or that of the account."""
    token: str = person.open("/account").forms[0].fields["csrf_token"]
    return token


def with_one_permission(app: Flask) -> Iterator[tuple[str, Person]]:
    for permission in permissions.declared():
        name = f"only-{permission.name.replace(':', '-')}"
        user = make_user(app, username=name, email=f"{name}@example.com")
        permit(app, user, permission.name)
        yield permission.name, signed_in(app, user)


def test_each_page_and_form_of_the_administration_has_a_row(app: Flask) -> None:
    routes = {f"{method} {rule}" for method, rule in page_routes(app)}

    assert {route for route in routes if route.split()[1].startswith("/admin")} == set(ROWS)


def test_nobody_is_led_to_the_login_and_somebody_without_rights_is_refused(
    app: Flask, visitor: Person, ada_at_home: Person
) -> None:
    of_visitor, of_ada = token_of(visitor), token_of(ada_at_home)

    made: dict[str, Any] = {}
    for route in ROWS:
        status, where = asked(app, visitor, of_visitor, route, made)
        assert (status, where.partition("?")[0]) == (303, "/account/login"), route
        assert asked(app, ada_at_home, of_ada, route, made) == (403, ""), route


def test_each_permission_opens_its_rows_and_no_other(app: Flask) -> None:
    wrong = []
    # What is refused changes nothing, so it may be tried on the same things again.
    unchanged: dict[str, Any] = {}
    for permission, person in with_one_permission(app):
        token = token_of(person)
        for route, row in ROWS.items():
            is_open = row.is_open_with(permission)
            wanted = row.status if is_open else 403
            status, _ = asked(app, person, token, route, None if is_open else unchanged)
            if status != wanted:
                wrong.append(f"{permission}: {route} is {status} and not {wanted}")

    assert not wrong, "\n".join(wrong)


def test_a_superuser_may_do_everything(app: Flask, grace_at_home: Person) -> None:
    token = token_of(grace_at_home)

    found = {route: asked(app, grace_at_home, token, route)[0] for route in ROWS}

    assert found == {route: row.status for route, row in ROWS.items()}


def test_no_permission_is_enough_to_change_a_superuser(app: Flask, grace: User) -> None:
    of_person = [route for route in ROWS if route.startswith(f"POST {ONE}")]
    made: dict[str, Any] = {"<digits:user_id>": grace.id}
    wrong = []
    for permission, person in with_one_permission(app):
        token = token_of(person)
        for route in of_person:
            if not ROWS[route].is_open_with(permission):
                continue
            status, _ = asked(app, person, token, route, made)
            if status != 403:
                wrong.append(f"{permission}: {route} is {status}")

    assert not wrong, "\n".join(wrong)


def test_a_superuser_without_the_demanded_second_factor_may_do_nothing(
    app: Flask, grace: User, grace_at_home: Person, set_settings: Callable[..., None]
) -> None:
    token = token_of(grace_at_home)
    set_settings(mfa_required="superusers")

    made: dict[str, Any] = {}
    for route in ROWS:
        assert asked(app, grace_at_home, token, route, made) == (303, "/account/security"), route

    with app.app_context():
        has_factor = update(User).where(User.id == grace.id)
        db.session.execute(has_factor.values(second_step_at=clock.now()))
        db.session.commit()
    for route in ROWS:
        status, where = asked(app, grace_at_home, token, route, made)
        assert (status, where.partition("?")[0]) == (303, "/account/reauthenticate"), route
