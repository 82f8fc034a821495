"""What ``flask doctor`` looks at in API keys."""

from sqlalchemy import func, select

from app import clock
from app.api_keys.models import ApiKey
from app.api_keys.settings import KeySettings
from app.extensions import db
from app.features import Reason, Weight, check
from config import Settings


@check(
    Weight.WEAK,
    "Set KEY_PREFIX to what they begin with, or let their owners replace them.",
    slow=True,
)
def api_keys_have_the_prefix(settings: Settings) -> str | None:
    prefix = settings.of(KeySettings).prefix
    # A prefix may have an underscore, which LIKE would take for any character.
    of_others = select(func.count()).where(
        ~ApiKey.prefix.startswith(f"{prefix}_", autoescape=True),
        ApiKey.expires_at > clock.now(),
    )
    count = db.session.scalar(of_others) or 0
    if not count:
        return None
    return Reason(
        "API keys that do not begin with %(prefix)s_ do not work: %(count)d.",
        prefix=prefix,
        count=count,
    )
