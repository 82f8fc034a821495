"""What ``flask doctor`` looks at in providers. Nothing is fetched."""

from sqlalchemy import func, select

from app.auth.providers.models import Identity
from app.auth.providers.settings import providers
from app.extensions import db
from app.features import Weight, check
from config import Settings


@check(
    Weight.WEAK,
    "Set the issuer again as it was. If the provider is gone, people set a password with a mailed "
    "link.",
)
def identities_belong_to_these_providers(_settings: Settings) -> str | None:
    known = [provider.issuer for provider in providers().values()]
    of_others = (
        select(Identity.issuer, func.count())
        .where(Identity.issuer.not_in(known))
        .group_by(Identity.issuer)
        .order_by(Identity.issuer)
    )
    found = ", ".join(f"{number} of {issuer}" for issuer, number in db.session.execute(of_others))
    if not found:
        return None
    return f"Some linked identities belong to providers that are not set up here: {found}."


@check(
    Weight.WEAK,
    "Set the DOMAINS of the provider to those whose addresses it gives out, or take LINK_VERIFIED "
    "away.",
)
def links_by_address_name_domains(_settings: Settings) -> str | None:
    without = [one.name for one in providers().values() if one.links_verified and not one.domains]
    if not without:
        return None
    return f"LINK_VERIFIED has no effect without DOMAINS, for: {', '.join(without)}."
