"""The menu of the administration pages: who may open which of them."""

from dataclasses import dataclass

from flask import g
from sqlalchemy.orm import Session as DatabaseSession

from app.access import levels
from app.access.guards import current_rights, current_session
from app.access.permissions import AUDIT_READ, ROLES_READ, USERS_READ, Permission, Rights, rights_of
from app.database.engines import reader
from app.errors import NotEnoughPermissions
from app.pages import menu
from app.pages.menu import Entry

# Path, label, and the permission that opens it. Where it is missing, the page is for superusers.
PAGES: tuple[tuple[str, str, Permission | None], ...] = (
    ("/admin/users", "People", USERS_READ),
    ("/admin/roles", "Roles", ROLES_READ),
    ("/admin/audit", "Audit log", AUDIT_READ),
    ("/admin/mail", "Mail", None),
    ("/admin/system", "System", None),
)
# What somebody could open with a second factor counts too: the page then asks for it.
ANY_LEVEL = 2


@dataclass(frozen=True)
class AdminPage:
    path: str
    label: str
    permission: Permission | None

    def is_open_to(self, rights: Rights) -> bool:
        return rights.everything or (
            self.permission is not None and rights.include(self.permission)
        )


def entries(rights: Rights) -> list[Entry]:
    """The links to the pages that somebody with these rights may open."""
    return menu.linked((page.path, page.label) for page in _served() if page.is_open_to(rights))


def first_path() -> str:
    """The first page that the current user may open.

    Raises ``NotEnoughPermissions``, or what is missing if a second factor would open one.
    """
    rights = current_rights()
    for page in _served():
        if page.is_open_to(rights):
            return page.path
    served = _served()
    levels.refuse_if_level_is_missing(
        current_session(), lambda better: any(page.is_open_to(better) for page in served)
    )
    raise NotEnoughPermissions


def is_shown() -> bool:
    """Whether the account pages show the link to the administration.

    For a superuser it sends no query, and for everybody else one.
    """
    session = g.get("session")
    if session is None:
        return False
    with DatabaseSession(reader()) as database:
        rights = rights_of(session.user, database, aal=ANY_LEVEL)
    return any(page.is_open_to(rights) for page in _served())


def _served() -> list[AdminPage]:
    """The pages that this server has."""
    served = menu.served_paths()
    return [AdminPage(*each) for each in PAGES if each[0] in served]
