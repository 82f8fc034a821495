"""How often second proofs may be tried, besides the five tries of a ticket."""

from app.access.limits import Limit
from app.auth.mfa.settings import MfaSettings
from config import settings

# At one account, from all networks together.
FACTOR = Limit("factor", lambda: settings.of(MfaSettings).ratelimit_factor)

# At all accounts, from one network.
FACTOR_NETWORK = Limit("factor network", lambda: settings.of(MfaSettings).ratelimit_factor_network)
