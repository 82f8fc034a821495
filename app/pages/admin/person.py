"""The page of one account: who it is, and what administrators may do with it."""

from collections.abc import Sequence
from typing import Any

from flask import Response

from app.access.guards import current_rights, current_user, permitted
from app.access.permissions import (
    AUDIT_READ,
    ROLES_READ,
    SESSIONS_READ,
    USERS_READ,
    Rights,
    rights_of,
)
from app.administration import accounts, roles
from app.audit import activity
from app.auth.sessions.schemas import roughly
from app.extensions import db
from app.models import Session, User
from app.pages import menu, words
from app.pages.admin import event_sentences
from app.pages.admin.event_sentences import Happening
from app.pages.admin.showing import render_admin
from app.pages.forms import EMPTY, Form
from app.pages.page import Pages
from app.users.authority import ANY_LEVEL

bp = Pages("admin_person", __name__)

EVENTS_SHOWN = 10
FACTORS = "/admin/users/<digits:user_id>/factors"


def path_of(user_id: int) -> str:
    return f"/admin/users/{user_id}"


def show(form: Form, user_id: int) -> Response:
    """The page of an account, also when an action was refused. Raises ``NotFound``."""
    rights = current_rights()
    person = accounts.read(user_id)
    return render_admin(
        "admin/person.html",
        rights=rights,
        form=form,
        person=person,
        path=path_of(user_id),
        is_oneself=user_id == current_user().id,
        is_invited=person.hashed_password is None and not person.email_verified,
        may_change=may_change(person, rights),
        has_factors_page=FACTORS in menu.served_paths(),
        roles=_roles(person, rights),
        sessions=_sessions(person, rights),
        events=_events(person, rights),
    )


@bp.get("/admin/users/<digits:user_id>")
@permitted(USERS_READ)
def person_page(user_id: int) -> Response:
    return show(EMPTY, user_id)


def may_change(person: User, rights: Rights) -> bool:
    """Whether the current user has every right of the person. The verbs check it again."""
    if person.id == current_user().id:
        return True
    return rights.cover(rights_of(person, db.session(), aal=ANY_LEVEL))


def _roles(person: User, rights: Rights) -> list[str] | None:
    if not rights.include(ROLES_READ):
        return None
    return [role.name for role in roles.of(person.id)]


def _sessions(person: User, rights: Rights) -> list[dict[str, Any]] | None:
    if not rights.include(SESSIONS_READ):
        return None
    live: Sequence[Session] = accounts.sessions_of(person.id)["items"]
    return [
        {
            "device": words.device_of(session.user_agent),
            "ip": session.ip,
            "created_at": session.created_at,
            "last_seen_at": max(roughly(session.refreshed_at), session.created_at),
        }
        for session in live
    ]


def _events(person: User, rights: Rights) -> list[Happening] | None:
    if not rights.include(AUDIT_READ):
        return None
    return event_sentences.described(activity.about(person.id, limit=EVENTS_SHOWN).items)
