"""Runs all checks: ours in their order, and then those of the features."""

from collections.abc import Iterator
from dataclasses import dataclass

from app import features
from app.doctor import (
    checks,
    database_checks,
    deployment_warnings,
    file_checks,
    key_checks,
    mail_checks,
    setting_checks,
)
from app.features.checks import Weight
from config import Settings

# If a check that stops finds something, the checks after it do not run: they need what is missing.
CHECKS = [
    check
    for group in (
        setting_checks,
        file_checks,
        database_checks,
        key_checks,
        mail_checks,
        deployment_warnings,
    )
    for check in checks.of(group)
]


@dataclass(frozen=True)
class Finding:
    """The result of a check that found something: the reason, and the remedy."""

    check: str
    weight: Weight
    reason: str
    remedy: str


def findings(settings: Settings) -> Iterator[Finding]:
    """Yield what the checks find."""
    of_features = [check for feature in features.active() for check in feature.checks]
    for check in CHECKS + of_features:
        reason = check.test(settings)
        if reason is None:
            continue
        yield Finding(check.name, check.weight, reason, check.remedy)
        if check.stops:
            return
