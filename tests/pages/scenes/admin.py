"""The pages of administrators."""

from collections.abc import Iterator

from app import clock
from tests.factories import make_role
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
    administration_of_others,
)
