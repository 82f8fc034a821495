"""The pages that ask once more before they change many accounts, and say what came of it.

The list sends the boxes that are checked, and is led here. The address names
the people, so a page can be opened again after a login was confirmed.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from urllib.parse import urlencode

from flask import Response, request
from flask_babel import gettext

from app.access.guards import (
    current_rights,
    current_session,
    current_user,
    fresh_until,
    freshly_permitted,
    permitted,
    refuse_without,
)
from app.access.permissions import SESSIONS_REVOKE, USERS_READ, USERS_WRITE, Rights
from app.administration import directory, many
from app.errors import AppError, NotEnoughPermissions
from app.models import User
from app.pages import forms
from app.pages.admin.person import may_change
from app.pages.admin.showing import render_admin
from app.pages.page import Pages
from app.users.authority import LastSuperuser, is_last_superuser

bp = Pages("admin_selection", __name__)

PATH = "/admin/users/selected"
# So many people can be chosen on one page of the list, and are in the address of these pages.
MOST = 50
BOX = "user-"


@dataclass(frozen=True)
class Action:
    """Something that can be done with many accounts at once."""

    is_fresh: bool
    run: Callable[..., many.Outcomes]
    # Whether the last superuser must be left out.
    removes_superusers: bool
    # What the page says, before and after.
    heading: str
    what_happens: str
    button: str
    done: str
    nothing_done: str


ACTIONS: Mapping[str, Action] = MappingProxyType(
    {
        "deactivate": Action(
            is_fresh=True,
            run=many.deactivate,
            removes_superusers=True,
            heading="Deactivate these accounts?",
            what_happens="These people are signed out everywhere, and cannot log in until somebody "
            "activates their accounts.",
            button="Deactivate them",
            done="These accounts are deactivated and signed out everywhere.",
            nothing_done="No account was deactivated.",
        ),
        "end-sessions": Action(
            is_fresh=False,
            run=many.end_sessions,
            removes_superusers=False,
            heading="Sign these people out everywhere?",
            what_happens="All devices of these people must log in again, and mailed links no "
            "longer work.",
            button="Sign them out",
            done="These people are signed out everywhere.",
            nothing_done="Nobody was signed out.",
        ),
    }
)


@dataclass(frozen=True)
class Left:
    """Somebody who is left as they are, and why."""

    person: User
    reason: str


def name_of_box(person: User) -> str:
    return f"{BOX}{person.id}"


def is_box(name: str) -> bool:
    return name.startswith(BOX)


def checked(fields: Mapping[str, str]) -> list[int]:
    """The ids of the people whose boxes are checked."""
    return _ids(name.removeprefix(BOX) for name in fields if is_box(name))


def path_of(action: str, ids: Sequence[int]) -> str:
    return f"{PATH}/{action}?{urlencode({'people': _as_text(ids)})}"


@bp.get(f"{PATH}/deactivate")
@permitted(USERS_WRITE)
def deactivation_page() -> Response:
    return _ask("deactivate")


@bp.post(f"{PATH}/deactivate")
@freshly_permitted(USERS_WRITE)
def deactivate_selected() -> Response:
    return _change("deactivate")


@bp.get(f"{PATH}/end-sessions")
@permitted(SESSIONS_REVOKE)
def end_of_sessions_page() -> Response:
    return _ask("end-sessions")


@bp.post(f"{PATH}/end-sessions")
@permitted(SESSIONS_REVOKE)
def end_sessions_of_selected() -> Response:
    return _change("end-sessions")


def _ask(action: str) -> Response:
    """The page that names whom the action will touch."""
    # It shows names and addresses.
    refuse_without(USERS_READ)
    ids = _ids(request.args.get("people", "").split("."))
    people = directory.by_ids(ids)
    rights = current_rights()
    chosen, left = [], []
    for person in (people[one] for one in ids if one in people):
        reason = _reason_to_leave(person, ACTIONS[action], rights)
        if reason:
            left.append(Left(person, reason))
        else:
            chosen.append(person)
    return render_admin(
        "admin/selected.html",
        rights=rights,
        action=_told(ACTIONS[action]),
        path=f"{PATH}/{action}",
        here_again=path_of(action, ids),
        chosen=chosen,
        left=left,
        is_fresh=not ACTIONS[action].is_fresh or fresh_until() is not None,
        people=_as_text([person.id for person in chosen]),
        is_done=False,
    )


def _change(action: str) -> Response:
    """Do it, and say what came of it. The answer names people, so the page is shown only once."""
    refuse_without(USERS_READ)
    ids = _ids(forms.read().get("people", "").split("."))
    outcomes = ACTIONS[action].run(ids, actor=current_session())
    people = directory.by_ids(ids)
    there = [people[one] for one in ids if one in people]
    return render_admin(
        "admin/selected.html",
        action=_told(ACTIONS[action]),
        path=f"{PATH}/{action}",
        chosen=[person for person in there if outcomes[person.id] is None],
        left=[
            Left(person, _sentence_of(refusal, person))
            for person in there
            if (refusal := outcomes[person.id]) is not None
        ],
        is_done=True,
    )


def _ids(texts: Iterable[str]) -> list[int]:
    """The ids among the texts, each once, and not more than one page of the list has."""
    return list(dict.fromkeys(int(text) for text in texts if directory.is_id(text)))[:MOST]


def _as_text(ids: Sequence[int]) -> str:
    return ".".join(map(str, ids))


def _told(action: Action) -> dict[str, str]:
    """The sentences of the action, in the language of the page."""
    names = ("heading", "what_happens", "button", "done", "nothing_done")
    return {name: str(gettext(getattr(action, name))) for name in names}


def _reason_to_leave(person: User, action: Action, rights: Rights) -> str:
    """Why the verb would refuse the person, or nothing."""
    if person.id == current_user().id or not may_change(person, rights):
        return _sentence_of(NotEnoughPermissions(), person)
    if action.removes_superusers and is_last_superuser(person):
        return _sentence_of(LastSuperuser(), person)
    return ""


def _sentence_of(refusal: AppError, person: User) -> str:
    if person.id == current_user().id:
        return str(gettext("This is your own account. Use its own page for it."))
    if isinstance(refusal, NotEnoughPermissions):
        return str(
            gettext(
                "This person has rights that you do not have, so you cannot change the account."
            )
        )
    if isinstance(refusal, LastSuperuser):
        return str(gettext(refusal.detail))
    return str(gettext("You can change this account only after a login with a second factor."))
