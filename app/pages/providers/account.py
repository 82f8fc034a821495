"""The page of the linked accounts, and the first password of an account that has none."""

from typing import Any

from flask import Response

from app.access.guards import current_session, current_user, freshly_signed_in, signed_in
from app.access.limits import limited_writes
from app.auth.providers import first_password, identities
from app.auth.providers.schemas import FirstPasswordSchema
from app.pages import notices
from app.pages.account import password
from app.pages.forms import EMPTY, Form, takes_form
from app.pages.page import Pages, go, render
from app.pages.providers.offering import IDENTITIES

bp = Pages("identities", __name__)

UNLINKED = notices.declare("identity_unlinked", "The account is unlinked.")
PASSWORD_SET = notices.declare("first_password_set", "Your password is set.")


def show(form: Form, **_: Any) -> Response:
    return render(
        "providers/identities.html",
        form=form,
        has_password=current_user().hashed_password is not None,
    )


@bp.get(IDENTITIES)
@signed_in
def identities_page() -> Response:
    return show(EMPTY)


@bp.post(f"{IDENTITIES}/<digits:identity_id>/unlink", refused=show)
@freshly_signed_in
@limited_writes
def unlink_identity(identity_id: int) -> Response:
    identities.unlink(current_session(), identity_id)
    return go(IDENTITIES, UNLINKED)


@bp.post("/account/password/set", refused=password.show)
@freshly_signed_in
@limited_writes
@takes_form(FirstPasswordSchema)
def set_first_password(given: dict[str, Any]) -> Response:
    first_password.set_first(current_session(), **given)
    return go("/account/password", PASSWORD_SET)
