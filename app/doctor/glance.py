"""A quick look at a deployment, for the page about the system."""

import logging
from time import monotonic

from sqlalchemy.exc import SQLAlchemyError

from app.doctor import findings
from app.extensions import db
from app.features.checks import Finding, Glance
from config import Settings

log = logging.getLogger(__name__)

# After this time no further check begins. Each of their statements has a limit of its own.
LONGEST_SECONDS = 2.0


def glance(settings: Settings) -> Glance:
    """Run the checks that read no large tables, as many as there is time for."""
    until = monotonic() + LONGEST_SECONDS
    found: list[Finding] = []
    left_out: list[str] = []
    is_stopped = False
    for check in findings.all_checks():
        if is_stopped or check.is_slow or monotonic() > until:
            left_out.append(check.name)
            continue
        try:
            finding = findings.result_of(check, settings)
        except SQLAlchemyError as error:
            log.warning("a check failed", extra={"check": check.name}, exc_info=error)
            db.session.rollback()
            left_out.append(check.name)
            continue
        if finding is not None:
            found.append(finding)
            is_stopped = check.stops
    return Glance(tuple(found), tuple(left_out))
