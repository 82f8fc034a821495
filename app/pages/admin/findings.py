"""What checks of the deployment found, in the language of the page."""

from collections.abc import Sequence
from typing import NamedTuple

from flask_babel import gettext

from app.features.checks import Finding, Reason, Weight

WEIGHTS = {
    Weight.DANGEROUS: "dangerous",
    Weight.WEAK: "weak",
    Weight.GOOD_TO_KNOW: "good to know",
}


class Shown(NamedTuple):
    """A finding. ``language`` is that of the reason, where it is another one than the page's."""

    check: str
    weight: str
    is_dangerous: bool
    reason: str
    language: str
    remedy: str


def shown(findings: Sequence[Finding]) -> list[Shown]:
    """The findings, the most dangerous first."""
    order = list(Weight)
    return [_shown(one) for one in sorted(findings, key=lambda one: order.index(one.weight))]


def _shown(finding: Finding) -> Shown:
    reason = finding.reason
    # A check of a feature from elsewhere may have no translation.
    is_english = not isinstance(reason, Reason)
    return Shown(
        finding.check,
        gettext(WEIGHTS[finding.weight]),
        finding.weight is Weight.DANGEROUS,
        reason if not isinstance(reason, Reason) else gettext(reason.sentence, **reason.values),
        "en" if is_english else "",
        gettext(finding.remedy),
    )
