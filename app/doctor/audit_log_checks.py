"""Checks of the audit log."""

from datetime import timedelta

from sqlalchemy import func, select

from app import clock
from app.audit import checks as audit_checks
from app.doctor.checks import checks
from app.doctor.database_checks import scalar
from app.extensions import db
from app.features.checks import Reason, Weight
from app.models import AuditEvent
from config import Settings

# Names each right with which the role could edit the log. `flask db upgrade` leaves none of them
# to the role of the server; docs/audit.md lists them. The owner may give itself what was taken
# from it, and a member of the owner may become it. A trigger runs with the rights of whoever
# changes a row, also with those of the owner.
RIGHTS_TO_EDIT_THE_LOG = """
SELECT string_agg(DISTINCT held.name || ' on ' || log.name, ', ')
  FROM (VALUES ('audit_events', '{ip,user_agent,personal}'::text[]),
               ('audit_seals', '{salt}'),
               ('audit_prunings', '{}')) AS log (name, erasable)
 CROSS JOIN LATERAL (
    SELECT wanted FROM unnest('{DELETE,TRUNCATE,TRIGGER}'::text[]) AS wanted
     WHERE has_table_privilege(log.name, wanted)
    UNION ALL
    SELECT 'INSERT' WHERE log.name = 'audit_prunings'
       AND has_any_column_privilege(log.name, 'INSERT')
    UNION ALL
    SELECT 'OWNERSHIP' FROM pg_class
     WHERE oid = log.name::regclass AND pg_has_role(relowner, 'MEMBER')
    UNION ALL
    SELECT 'UPDATE' FROM pg_attribute
     WHERE attrelid = log.name::regclass AND attnum > 0 AND NOT attisdropped
       AND attname <> ALL (log.erasable) AND has_column_privilege(attrelid, attnum, 'UPDATE')
 ) AS held (name)
"""


@checks(
    Weight.WEAK,
    "Let the server connect with a role that does not own the tables, and run the statements of "
    "docs/audit.md.",
)
def role_cannot_edit_the_audit_log(settings: Settings) -> str | None:
    if settings.uses_sqlite:
        return None
    rights = scalar(RIGHTS_TO_EDIT_THE_LOG)
    if rights:
        return Reason(
            "The role of the server can change or remove events of the audit log (%(rights)s).",
            rights=rights,
        )
    return None


# Both databases have three on each of the two tables, with names of this form. An operator may
# have triggers of their own on these tables.
TRIGGERS_OF_THE_LOG = 6


@checks(Weight.WEAK, "Create or enable the triggers again; docs/audit.md has the statements.")
def audit_log_is_append_only(settings: Settings) -> str | None:
    enabled = (
        "SELECT count(*) FROM sqlite_master WHERE type = 'trigger'"
        " AND name LIKE 'audit_%_refuse_%' AND tbl_name IN ('audit_events', 'audit_seals')"
        if settings.uses_sqlite
        else "SELECT count(*) FROM pg_trigger"
        " WHERE tgname LIKE 'audit_%_refuse_%' AND tgenabled IN ('O', 'A')"
        " AND tgrelid IN ('audit_events'::regclass, 'audit_seals'::regclass)"
    )
    missing = TRIGGERS_OF_THE_LOG - scalar(enabled)
    if missing > 0:
        return Reason(
            "%(missing)s of the triggers that protect the audit log are missing or disabled.",
            missing=missing,
        )
    return None


@checks(Weight.DANGEROUS, "Find out what changed the log; docs/audit.md says what each kind means.")
def audit_log_was_whole(_settings: Settings) -> str | None:
    last = next(iter(audit_checks.remembered().values()), None)
    if last is None or last.outcome == audit_checks.WHOLE:
        return None
    return Reason(
        "On %(day)s, flask audit verify found that the log was changed (%(kind)s).",
        day=f"{last.checked_at:%Y-%m-%d}",
        kind=last.kind,
    )


# docs/deploying.md advises to do it every day.
VERIFIED_AT_LEAST = timedelta(days=31)


@checks(Weight.WEAK, "Run flask audit verify every day; docs/deploying.md has the line for cron.")
def audit_log_is_verified(_settings: Settings) -> str | None:
    long_ago = clock.now() - VERIFIED_AT_LEAST
    first = db.session.scalar(select(func.min(AuditEvent.at)))
    if first is None or first >= long_ago:
        return None
    last = next(iter(audit_checks.remembered().values()), None)
    if last is None:
        return Reason("The audit log was never verified.")
    if last.checked_at < long_ago:
        day = f"{last.checked_at:%Y-%m-%d}"
        return Reason("The audit log was last verified on %(day)s.", day=day)
    return None
