"""The page of the API keys of one account."""

from uuid import UUID

from flask import Response

from app import clock
from app.access.guards import current_rights, current_session, freshly_permitted, permitted
from app.api_keys import keys, operating
from app.api_keys.operating import KEYS_READ, KEYS_REVOKE
from app.extensions import db
from app.models import User
from app.pages import notices
from app.pages.admin.person import may_change
from app.pages.admin.sections import Section
from app.pages.admin.showing import render_admin
from app.pages.page import Pages, go

bp = Pages("admin_keys", __name__)

PATH = "/admin/users/<digits:user_id>/keys"

REVOKED = notices.declare("person_key_revoked", "The API key of this account is revoked.")


# On the page of the account.
SECTION = Section(KEYS_READ, "admin/keys_section.html", lambda person: keys.of(person.id))


@bp.get(PATH)
@permitted(KEYS_READ)
def keys_of_person(user_id: int) -> Response:
    rights = current_rights()
    held = operating.keys_of(user_id)
    person = db.session.get_one(User, user_id)
    return render_admin(
        "admin/keys.html",
        rights=rights,
        person=person,
        keys=[(key, key.expires_at <= clock.now()) for key in held],
        may_revoke=rights.include(KEYS_REVOKE) and may_change(person, rights),
    )


@bp.post(f"{PATH}/<uuid:key_id>/revoke")
@freshly_permitted(KEYS_REVOKE)
def revoke_key_of_person(user_id: int, key_id: UUID) -> Response:
    operating.revoke(user_id, key_id, actor=current_session())
    return go(f"/admin/users/{user_id}/keys", REVOKED)
