"""Runs all checks: ours in their order, and then those of the features."""

from collections.abc import Iterator

from app import features
from app.doctor import (
    audit_log_checks,
    checks,
    database_checks,
    deployment_warnings,
    file_checks,
    key_checks,
    limit_checks,
    mail_checks,
    setting_checks,
)
from app.features.checks import Check, Finding
from config import Settings

# If a check that stops finds something, the checks after it do not run: they need what is missing.
CHECKS = [
    check
    for group in (
        setting_checks,
        limit_checks,
        file_checks,
        database_checks,
        audit_log_checks,
        key_checks,
        mail_checks,
        deployment_warnings,
    )
    for check in checks.of(group)
]


def findings(settings: Settings) -> Iterator[Finding]:
    """Yield what the checks find."""
    for check in all_checks():
        finding = result_of(check, settings)
        if finding is None:
            continue
        yield finding
        if check.stops:
            return


def all_checks() -> list[Check]:
    return CHECKS + [check for feature in features.active() for check in feature.checks]


def result_of(check: Check, settings: Settings) -> Finding | None:
    reason = check.test(settings)
    return None if reason is None else Finding(check.name, check.weight, reason, check.remedy)
