"""Runs all checks, in their order."""

from collections.abc import Iterator

from app.doctor import checks, database_checks, file_checks, mail_checks, setting_checks, sightings
from app.doctor.checks import Finding
from config import Settings

# If a check that stops finds something, the checks after it do not run: they need what is missing.
CHECKS = [
    check
    for group in (setting_checks, file_checks, database_checks, mail_checks, sightings)
    for check in checks.of(group)
]


def findings(settings: Settings) -> Iterator[Finding]:
    """Yield what the checks find."""
    for check in CHECKS:
        reason = check.test(settings)
        if reason is None:
            continue
        yield Finding(check.name, check.weight, reason, check.cure)
        if check.stops:
            return
