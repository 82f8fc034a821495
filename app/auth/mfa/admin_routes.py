"""The calls on the second factors of others."""

from typing import Any

from app.access.guards import current_session, freshly_permitted, permitted
from app.auth.mfa import operating
from app.auth.mfa.operating import FACTORS_READ, FACTORS_RESET
from app.auth.mfa.schemas import FactorsSchema
from app.errors import NotFound
from app.http.blueprint import Blueprint, refuses

bp = Blueprint(
    "factors_of_users",
    __name__,
    url_prefix="/users",
    description="Administrators help users who have lost a factor.",
)


@bp.get("/<digits:user_id>/factors")
@permitted(FACTORS_READ, keys=False)
@refuses(NotFound)
@bp.returns(200, FactorsSchema)
def read_factors_of_user(user_id: int) -> dict[str, Any]:
    """The second factors of a user."""
    return operating.describe(user_id)


@bp.delete("/<digits:user_id>/factors")
@freshly_permitted(FACTORS_RESET)
@refuses(NotFound)
@bp.returns(204)
def reset_factors_of_user(user_id: int) -> None:
    """Remove the second factors of a user, who is signed out everywhere and told by mail.

    You cannot do this to your own account, nor to a user who has rights that you lack.
    """
    operating.reset(user_id, actor=current_session())
