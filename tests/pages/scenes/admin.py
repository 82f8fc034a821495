"""The pages of administrators."""

from collections.abc import Iterator
from typing import Any

from sqlalchemy import update

from app import clock
from app.auth.password.reset import reset_asked
from app.extensions import db
from app.mail import messages
from app.models import OutboxMessage
from tests.factories import make_role
from tests.mail.letters import queue
from tests.pages.scenes.visit import Scene, Visit


def people(visit: Visit) -> Iterator[str]:
    visit.sign_in(visit.account(superuser=True))
    visit.account(active=False, email_verified=False)
    visit.open("/admin")
    yield "empty"
    visit.open("/admin/users?q=ada&is_active=true&sort=username")
    yield "empty"
    visit.open("/admin/users?q=nobody-has-this-name")
    yield "empty"
    visit.open("/admin/users?is_active=perhaps")
    yield "refused"


def many_people(visit: Visit) -> Iterator[str]:
    superuser = visit.sign_in(visit.account(superuser=True))
    chosen = [visit.account(full_name="Babbage"), visit.account(), superuser]
    boxes = {f"user-{user.id}": "true" for user in chosen}
    labels = {"en": ("Deactivate", "Sign out everywhere"), "zh": ("停用", "在所有设备上退出登录")}
    for label, action in zip(labels[visit.locale], ("deactivate", "end-sessions"), strict=True):
        visit.open("/admin/users")
        visit.send("/admin/users/selected", press=label)
        yield "refused"
        visit.send("/admin/users/selected", press=label, **boxes)
        yield "empty"
        visit.send(f"/admin/users/selected/{action}")
        yield "done"
    visit.open("/admin/users?q=ada")
    visit.download("/admin/users/export")
    for path in ("/admin/users/selected/deactivate", "/admin/users/selected/end-sessions"):
        visit.open(path)
        yield "empty"
    visit.let_time_pass(superuser)
    visit.open(f"/admin/users/selected/deactivate?people={chosen[1].id}")
    yield "empty"


def invitation(visit: Visit) -> Iterator[str]:
    user = visit.sign_in(visit.account(superuser=True))
    visit.open("/admin/users/new")
    yield "empty"
    visit.send(email=user.email, username="-")
    yield "refused"
    visit.send(email=f"new.{user.email}", username=f"new.{user.username}")
    yield "done"


def person(visit: Visit) -> Iterator[str]:
    superuser = visit.sign_in(visit.account(superuser=True))
    user = visit.account()
    device = visit.elsewhere(user)
    visit.elsewhere(user)
    role = make_role(visit.app, f"support{user.id}", "users:read", "users:write")
    path = f"/admin/users/{user.id}"
    visit.open(path)
    yield "empty"
    visit.send(f"{path}/sessions/{device}/end")
    yield "done"
    visit.send(f"{path}/roles", role=str(role.id))
    yield "done"
    visit.send(f"{path}/roles/{role.id}/take")
    yield "done"
    for action in ("password-reset", "promote", "demote", "end-sessions", "deactivate", "activate"):
        visit.send(f"{path}/{action}")
        yield "done"
    visit.open(f"{path}/factors")
    yield "empty"
    visit.send(f"{path}/factors/reset")
    yield "done"
    visit.open(f"/admin/users/{superuser.id}/factors")
    yield "empty"
    visit.open(path)
    visit.send(f"{path}/delete")
    yield "done"
    visit.open(path)
    yield "empty"


def person_in_trouble(visit: Visit) -> Iterator[str]:
    superuser = visit.sign_in(visit.account(superuser=True))
    user = visit.account(email_verified=False, second_step_at=clock.now())
    visit.suspend(user)
    path = f"/admin/users/{user.id}"
    visit.open(path)
    yield "empty"
    visit.send(f"{path}/unlock")
    yield "done"
    visit.send(f"{path}/verify")
    yield "done"
    visit.open(f"/admin/users/{superuser.id}")
    yield "empty"


def mails(visit: Visit) -> Iterator[str]:
    visit.sign_in(visit.account(superuser=True))
    user = visit.account()
    visit.open("/admin/mail?state=set_aside")
    yield "empty"
    reset = {"to": user.email, "user": user, "token": "a-token", "minutes": 30}
    failed = queue(visit.app, messages.password_reset, **reset)
    change_mail(visit, failed, attempts=10, set_aside_at=clock.now(), last_error="550 unknown")
    under_way = queue(visit.app, messages.password_reset, **reset)
    change_mail(visit, under_way, attempts=2, last_error="TimeoutError: timed out")
    asked = queue(visit.app, reset_asked, to=user.email, ip="", user_agent="", request_id="")
    over = queue(visit.app, messages.address_in_use, to=user.email, user=user)
    change_mail(visit, over, attempts=1, delivered_at=clock.now(), sealed=None)
    for query in ("", "?state=set_aside", "?state=delivered", "?limit=1"):
        visit.open(f"/admin/mail{query}")
        yield "empty"
    visit.open("/admin/mail?state=lost")
    yield "refused"
    for number in (under_way, asked, over, failed):
        visit.open(f"/admin/mail/{number}")
        yield "empty"
    visit.send(f"/admin/mail/{failed}/retry")
    yield "done"
    visit.send(f"/admin/mail/{failed}/drop")
    yield "done"


def system(visit: Visit) -> Iterator[str]:
    visit.sign_in(visit.account(superuser=True))
    visit.open("/admin/system")
    yield "empty"
    user = visit.account()
    visit.suspend(user)
    visit.happen(user, "login_failed", 2)
    visit.open("/admin/system")
    yield "empty"
    visit.send(f"/admin/users/{user.id}/unlock")
    yield "done"


def change_mail(visit: Visit, number: int, **columns: Any) -> None:
    with visit.app.app_context():
        mail = update(OutboxMessage).where(OutboxMessage.id == number)
        db.session.execute(mail.values(**columns))
        db.session.commit()


def roles(visit: Visit) -> Iterator[str]:
    visit.sign_in(visit.account(superuser=True))
    visit.open("/admin/roles/new")
    yield "empty"
    visit.send(name="Not a name")
    yield "refused"
    name = f"support-{visit.locale}"
    visit.open("/admin/roles/new")
    typed = {"permissions.users:read": "true", "permissions.sessions:read": "true"}
    visit.send(name=name, description="w" * 100, require_mfa="true", **typed)
    yield "done"
    path = f"/admin/roles/{visit.give_role(name, people=0)}"
    visit.open(path)
    yield "empty"
    visit.give_role(name, people=7)
    visit.open("/admin/roles")
    yield "empty"
    visit.open(path)
    yield "empty"
    visit.send(path, name="-")
    yield "refused"
    visit.send(path, name=name, as_read="of another role")
    yield "refused"
    visit.open(path)
    visit.send(path, name=name, **{"permissions.users:read": "false"})
    yield "done"
    visit.send(f"{path}/delete")
    yield "done"


def audit_log(visit: Visit) -> Iterator[str]:
    superuser = visit.sign_in(visit.account(superuser=True))
    user = visit.account()
    visit.open("/admin/audit")
    yield "empty"
    visit.open(f"/admin/users/{user.id}")
    visit.send(f"/admin/users/{user.id}/deactivate")
    visit.happen(user, "login_failed", times=25, details={"reason": "wrong_password"})
    visit.find_the_log_changed()
    visit.open(f"/admin/audit?subject={user.username}&actor=&since=2020-01-01")
    yield "empty"
    visit.open(visit.find("/admin/audit[?]*cursor=*"))
    yield "empty"
    visit.open(visit.find("/admin/audit/[0-9]*"))
    yield "empty"
    visit.open(f"/admin/audit?actor={superuser.username}&event=logged_out")
    yield "empty"
    visit.open("/admin/audit?subject=nobody-has-this-name&ip=nowhere&since=soon")
    yield "refused"
    visit.open("/admin/audit")
    visit.download("/admin/audit/export")
    # A browser sends nothing for a date if it is not one.
    visit.send("/admin/audit/export", sealed_since="20000-01-01")
    yield "refused"
    visit.let_time_pass(superuser)
    visit.open("/admin/audit")
    yield "empty"


def administration_of_others(visit: Visit) -> Iterator[str]:
    visit.sign_in()
    visit.open("/admin")
    yield "forbidden"


SCENES: tuple[Scene, ...] = (
    people,
    many_people,
    invitation,
    person,
    person_in_trouble,
    mails,
    system,
    roles,
    audit_log,
    administration_of_others,
)
