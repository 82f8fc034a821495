"""The page of the second factors of one account."""

from flask import Response

from app.access.guards import current_rights, current_session, freshly_permitted, permitted
from app.auth.mfa import factors, operating
from app.auth.mfa.operating import FACTORS_READ, FACTORS_RESET
from app.extensions import db
from app.models import User
from app.pages import notices
from app.pages.admin.person import may_change
from app.pages.admin.sections import Section
from app.pages.admin.showing import render_admin
from app.pages.page import Pages, go

bp = Pages("admin_factors", __name__)

PATH = "/admin/users/<digits:user_id>/factors"

RESET = notices.declare(
    "person_factors_reset",
    "The second factors are removed, and the account is signed out everywhere.",
)

NOTHING = notices.declare(
    "person_had_no_factors", "There was no second factor to remove.", is_refusal=True
)


# On the page of the account.
SECTION = Section(FACTORS_READ, "admin/factors_section.html", factors.describe)


@bp.get(PATH)
@permitted(FACTORS_READ)
def factors_of_person(user_id: int) -> Response:
    rights = current_rights()
    held = operating.describe(user_id)
    person = db.session.get_one(User, user_id)
    return render_admin(
        "admin/factors.html",
        rights=rights,
        person=person,
        held=held,
        is_oneself=user_id == current_session().user_id,
        may_change=may_change(person, rights),
    )


@bp.post(f"{PATH}/reset")
@freshly_permitted(FACTORS_RESET)
def reset_factors_of_person(user_id: int) -> Response:
    count = operating.reset(user_id, actor=current_session())
    return go(f"/admin/users/{user_id}/factors", NOTHING if count is None else RESET)
