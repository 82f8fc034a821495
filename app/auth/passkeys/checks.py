"""What ``flask doctor`` looks at in passkeys."""

from sqlalchemy import func, select

from app.auth.passkeys.models import Passkey
from app.auth.passkeys.settings import relying_party
from app.extensions import db
from app.features import Reason, Weight, check
from config import Settings


@check(
    Weight.WEAK,
    "Set WEBAUTHN_RP_ID to their domain again, or let their owners make new passkeys.",
    slow=True,
)
def passkeys_belong_to_this_domain(_settings: Settings) -> str | None:
    domain = relying_party().id
    of_others = (
        select(Passkey.rp_id, func.count())
        .where(Passkey.rp_id != domain)
        .group_by(Passkey.rp_id)
        .order_by(Passkey.rp_id)
    )
    found = [f"{number} of {name}" for name, number in db.session.execute(of_others)]
    named = ", ".join(found)
    if not named:
        return None
    return Reason(
        "Some passkeys belong to other domains than %(domain)s and do not work: %(named)s.",
        domain=domain,
        named=named,
    )
