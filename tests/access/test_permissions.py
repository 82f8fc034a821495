"""Permissions: declared in one line, asked for in one line."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from flask import Blueprint, Flask
from flask.testing import FlaskClient

from app.access import permissions, scopes
from app.access.guards import freshly_permitted, permitted
from app.access.permissions import EVERYTHING, Rights
from app.models import User
from tests.cases import each
from tests.factories import bearer, log_in, permit, problem, refresh


@pytest.fixture
def notes_read(monkeypatch: pytest.MonkeyPatch) -> permissions.Permission:
    """A permission of another part of the application."""
    monkeypatch.setattr(permissions, "_declared", dict(permissions._declared))
    return permissions.declare("notes:read", "See all notes.")


@pytest.fixture
def notes(
    new_app: Callable[..., Flask], notes_read: permissions.Permission
) -> Iterator[FlaskClient]:
    """An application with a plain Flask blueprint that wants it."""
    bp = Blueprint("notes", __name__)

    @bp.get("/notes")
    @permitted(notes_read)
    def read() -> dict[str, list[str]]:
        return {"items": []}

    @bp.delete("/notes")
    @freshly_permitted(notes_read)
    def delete() -> tuple[str, int]:
        return "", 204

    app = new_app()
    app.register_blueprint(bp)
    return app.test_client()


def test_a_call_of_ones_own_wants_a_permission_of_ones_own(
    app: Flask, notes: FlaskClient, ada: User, bob: User, grace: User
) -> None:
    permit(app, ada, "notes:read")
    people = {name: log_in(notes, user) for name, user in (("ada", ada), ("bob", bob))}

    nobody = notes.get("/notes")
    bobs = notes.get("/notes", headers=bearer(people["bob"]["access_token"]))
    adas = notes.get("/notes", headers=bearer(people["ada"]["access_token"]))
    graces = notes.get("/notes", headers=bearer(log_in(notes, grace)["access_token"]))

    assert problem(nobody) == (401, "not_authenticated")
    assert problem(bobs) == (403, "not_enough_permissions")
    assert (adas.status_code, graces.status_code) == (200, 200)


def test_a_fresh_permission_wants_a_recent_login_too(
    app: Flask, notes: FlaskClient, ada: User
) -> None:
    permit(app, ada, "notes:read")
    pair = log_in(notes, ada)
    fresh = notes.delete("/notes", headers=bearer(pair["access_token"]))

    stale = notes.delete(
        "/notes", headers=bearer(refresh(notes, pair["refresh_token"]).json["access_token"])
    )

    assert fresh.status_code == 204
    assert problem(stale) == (401, "fresh_token_required")


def test_a_name_is_declared_for_one_thing(notes_read: permissions.Permission) -> None:
    assert permissions.declare("notes:read", "See all notes.") == notes_read
    with pytest.raises(ValueError, match="notes:read"):
        permissions.declare("notes:read", "Something else.")


def test_a_name_fits_into_its_column(notes_read: permissions.Permission) -> None:
    with pytest.raises(ValueError, match="50"):
        permissions.declare("x" * 51, "Too long.")


@pytest.mark.parametrize(
    ("mine", "theirs", "covers"),
    [
        (EVERYTHING, EVERYTHING, True),
        (EVERYTHING, Rights(frozenset({"a"})), True),
        (Rights(frozenset({"a", "b"})), Rights(frozenset({"a"})), True),
        (Rights(), Rights(), True),
        (Rights(frozenset({"a"})), Rights(frozenset({"a", "b"})), False),
        (Rights(frozenset({"a"})), Rights(frozenset({"b"})), False),
        (Rights(frozenset({"a"})), EVERYTHING, False),
    ],
)
def test_rights_cover_what_they_allow_and_no_more(
    mine: Rights, theirs: Rights, covers: bool
) -> None:
    assert mine.cover(theirs) is covers


def test_a_superuser_has_permissions_that_do_not_exist_yet() -> None:
    assert EVERYTHING.include("anything:at-all")
    assert not Rights().include("anything:at-all")
    assert Rights().include()


def test_the_document_says_which_permission_a_call_wants(client: FlaskClient) -> None:
    paths = client.get("/openapi.json").json["paths"]

    assert paths["/api/v1/users"]["get"]["x-permission"] == "users:read"
    assert paths["/api/v1/users/{user_id}"]["delete"]["x-permission"] == "users:delete"
    assert "x-permission" not in paths["/api/v1/users/me"]["get"]


@each(
    "first, second, name",
    [(scopes, permissions, "drafts:read"), (permissions, scopes, "drafts:write")],
)
def test_no_permission_has_the_name_of_a_scope(
    monkeypatch: pytest.MonkeyPatch, first: Any, second: Any, name: str
) -> None:
    """Every owner has each scope, so a key with it would have the permission."""
    monkeypatch.setattr(permissions, "_declared", dict(permissions._declared))
    monkeypatch.setattr(permissions, "_names_of_scopes", set(permissions._names_of_scopes))
    monkeypatch.setattr(scopes, "_declared", dict(scopes._declared))
    first.declare(name, "Drafts.")

    with pytest.raises(ValueError, match="already that of a"):
        second.declare(name, "Drafts.")
