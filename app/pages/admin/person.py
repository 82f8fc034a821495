"""The page of one account: who it is, and what administrators may do with it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from flask import Response
from flask_babel import gettext

from app.access.guards import current_rights, current_session, current_user, permitted
from app.access.permissions import (
    AUDIT_READ,
    ROLES_READ,
    ROLES_WRITE,
    SESSIONS_READ,
    USERS_READ,
    Rights,
    rights_of,
)
from app.administration import accounts, operating, roles
from app.audit import activity
from app.auth.login import suspensions
from app.auth.login.suspensions import Throttled
from app.auth.login.throttle import Kind
from app.auth.sessions.schemas import roughly
from app.errors import NotEnoughPermissions
from app.extensions import db
from app.mail import delivery
from app.models import OutboxMessage, Role, Session, User
from app.pages import language, menu, times, words
from app.pages.account.devices import proofs
from app.pages.admin import event_sentences, sections
from app.pages.admin.event_sentences import Happening
from app.pages.admin.showing import render_admin
from app.pages.forms import EMPTY, Form
from app.pages.page import Pages
from app.users.authority import ANY_LEVEL, is_last_superuser

bp = Pages("admin_person", __name__)

EVENTS_SHOWN = 10
MAILS_SHOWN = 10
MAIL = "/admin/mail"


def path_of(user_id: int) -> str:
    return f"/admin/users/{user_id}"


def show(form: Form, user_id: int, **_: Any) -> Response:
    """The page of an account, also when an action was refused.

    Raises ``NotFound``, or ``NotEnoughPermissions`` for somebody who may do
    something with the account, but not see it.
    """
    rights = current_rights()
    if not rights.include(USERS_READ):
        raise NotEnoughPermissions
    person = accounts.read(user_id)
    stopped = suspensions.of(person)
    unlocked = operating.unlocked_by(current_user().id, user_id)
    return render_admin(
        "admin/person.html",
        rights=rights,
        form=form,
        person=person,
        path=path_of(user_id),
        is_oneself=user_id == current_user().id,
        is_invited=accounts.is_invited(person),
        is_last_superuser=is_last_superuser(person),
        may_change=may_change(person, rights),
        stops=[_stop(each) for each in stopped],
        may_unlock=any(each.kind in unlocked for each in stopped),
        roles=_roles(person, rights),
        sessions=_sessions(person, rights),
        sections=sections.read(person, rights),
        mails=_mails(person, rights),
        has_mail_page=f"{MAIL}/<digits:number>" in menu.served_paths(),
        language_name=language.NAMES.get(person.locale, person.locale),
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


def _stop(throttled: Throttled) -> str:
    """Why nobody can log in to the account at the moment."""
    if throttled.is_suspended:
        if throttled.kind is Kind.FACTOR:
            return str(gettext("There were too many wrong codes, so the second step is stopped."))
        return str(
            gettext(
                "There were too many wrong passwords, so the password works only in networks "
                "where it worked before, until the owner sets a new one by mail."
            )
        )
    wait = times.ago(throttled.until) if throttled.until else ""
    if throttled.kind is Kind.FACTOR:
        return str(gettext("One network gave wrong codes, and may try again %(time)s.", time=wait))
    return str(gettext("One network gave wrong passwords, and may try again %(time)s.", time=wait))


@dataclass(frozen=True)
class Roles:
    """The roles that the account has, and those that it can get from the current user."""

    held: Sequence[Role]
    # Those of which the current user has every permission.
    within_rights: frozenset[int]
    others: Sequence[Role]


def _roles(person: User, rights: Rights) -> Roles | None:
    if not rights.include(ROLES_READ):
        return None
    held = roles.of(person.id)
    every = roles.all_roles() if rights.include(ROLES_WRITE) else held
    within = frozenset(role.id for role in every if rights.include(*role.permissions))
    have = {role.id for role in held}
    others = [role for role in every if role.id in within - have]
    return Roles(held, within, others)


def _sessions(person: User, rights: Rights) -> list[dict[str, Any]] | None:
    if not rights.include(SESSIONS_READ):
        return None
    live: Sequence[Session] = accounts.sessions_of(person.id)["items"]
    return [
        {
            "id": session.id,
            "device": words.device_of(session.user_agent),
            "ip": session.ip,
            "is_current": session.id == current_session().id,
            "proofs": proofs(session),
            "created_at": session.created_at,
            "last_seen_at": max(roughly(session.refreshed_at), session.created_at),
        }
        for session in live
    ]


def _mails(person: User, rights: Rights) -> Sequence[OutboxMessage] | None:
    """The mails that wait or were set aside. As the page of all mails, it is for superusers."""
    return delivery.on_the_way_to(person, limit=MAILS_SHOWN) if rights.everything else None


def _events(person: User, rights: Rights) -> list[Happening] | None:
    if not rights.include(AUDIT_READ):
        return None
    return event_sentences.described(activity.about(person.id, limit=EVENTS_SHOWN).items, rights)
