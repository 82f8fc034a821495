"""What is counted and measured, for Prometheus. The names are what dashboards and alerts know."""

from prometheus_client import Counter

SECURITY_EVENTS = Counter(
    "security_events", "What happened to accounts, by the audit log's vocabulary.", ["event"]
)
LIMITER_FALLBACKS = Counter(
    "rate_limiter_fallbacks", "Times that rate limits were counted in memory, Redis being away."
)
