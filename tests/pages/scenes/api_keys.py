"""The pages of API keys, one's own and those of others."""

from collections.abc import Iterator

from tests.factories import permit
from tests.pages.scenes.visit import Scene, Visit

PATH = "/account/keys"


def api_keys(visit: Visit) -> Iterator[str]:
    user = visit.sign_in()
    permit(visit.app, user, "users:read", "roles:write")
    visit.open(PATH)
    yield "empty"
    visit.open(f"{PATH}/new")
    yield "empty"
    visit.send(name="x" * 101, networks="203.0.113.7/24")
    yield "refused"
    typed = {"scope.profile": "true", "scope.users:read": "true"}
    visit.open(f"{PATH}/new")
    visit.send(name="Werkzeug", networks="203.0.113.0/24", **typed)
    yield "done"
    visit.open(PATH)
    yield "empty"
    path = visit.find(f"{PATH}/*-*")
    visit.open(path)
    yield "empty"
    visit.send(name="", networks="everywhere")
    yield "refused"
    visit.send(name="Werkzeug", networks="")
    yield "done"
    visit.open(path)
    visit.send(f"{path}/rotate", overlap_seconds="3600")
    yield "done"
    visit.open(path)
    visit.send(f"{path}/revoke")
    yield "done"


def api_keys_of_somebody(visit: Visit) -> Iterator[str]:
    user = visit.sign_in(visit.account(superuser=True))
    path = f"/admin/users/{user.id}/keys"
    visit.open(path)
    yield "empty"
    visit.open(f"{PATH}/new")
    visit.send(name="Werkzeug", **{"scope.profile": "true"})
    visit.open(path)
    yield "empty"
    visit.send(visit.find(f"{path}/*/revoke"))
    yield "done"


SCENES: tuple[Scene, ...] = (api_keys, api_keys_of_somebody)
