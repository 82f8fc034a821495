"""What ``flask doctor`` looks at in second factors."""

from sqlalchemy import select

from app.auth.mfa import methods
from app.extensions import db
from app.features import Reason, Weight, check
from app.models import User
from config import Settings


@check(
    Weight.GOOD_TO_KNOW,
    "Set MFA_REQUIRED to superusers or all, or require_mfa on the roles that matter.",
)
def second_factors_are_required(settings: Settings) -> str | None:
    if settings.mfa_required == "none":
        return Reason(
            "MFA_REQUIRED is none: a password alone opens each account that has no factor.",
        )
    return None


# The sentence names so many accounts, and counts the others.
NAMED = 10


@check(Weight.WEAK, "Let them set one up, and set MFA_REQUIRED=superusers.")
def superusers_have_a_second_factor(_settings: Settings) -> str | None:
    superusers = db.session.scalars(
        select(User).where(User.is_superuser, User.is_active).order_by(User.id)
    ).all()
    without = [user.email for user in superusers if not methods.has_factor(user.id)]
    if not without:
        return None
    others = len(without) - NAMED
    names = ", ".join(without[:NAMED]) + (f" and {others} others" if others > 0 else "")
    return Reason("These superusers have no second factor: %(names)s.", names=names)
