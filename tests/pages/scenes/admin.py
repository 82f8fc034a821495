"""The pages of administrators."""

from collections.abc import Iterator

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
    visit.elsewhere(user)
    path = f"/admin/users/{user.id}"
    visit.open(path)
    yield "empty"
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


def administration_of_others(visit: Visit) -> Iterator[str]:
    visit.sign_in()
    visit.open("/admin")
    yield "forbidden"


SCENES: tuple[Scene, ...] = (people, invitation, person, administration_of_others)
