"""The page about the system: its state, the last day, accounts that are stopped, and limits."""

from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any, NamedTuple

from flask import Flask, Response, current_app
from flask_babel import gettext

from app.access.guards import current_user, for_superusers
from app.administration import directory, last_day, operating
from app.auth.login import suspensions
from app.database import migration_state
from app.database.statement_limit import in_time
from app.extensions import db
from app.features.checks import Glance
from app.observability import readiness
from app.pages import times, words
from app.pages.admin import charts, findings
from app.pages.admin.charts import Chart
from app.pages.admin.showing import render_admin
from app.pages.page import Pages
from app.version import VERSION
from config import Settings
from configuration.table import variables_of

bp = Pages("admin_system", __name__)

PATH = "/admin/system"
MOST_ACCOUNTS = 50
# Looking for accounts that are stopped takes no longer.
LONGEST_SECONDS = 1.0

# What each limit counts.
LIMITS = {
    "RATELIMIT_LOGIN": "Passwords from one network",
    "RATELIMIT_LOGIN_FAILURES": "Wrong passwords from one network",
    "RATELIMIT_REGISTER": "Registrations from one network",
    "RATELIMIT_MAIL": "Requests for mail from one network",
    "RATELIMIT_MAIL_PER_ADDRESS": "Requests for mail to one address",
    "RATELIMIT_TOKEN": "Refreshes and mailed links from one network",
    "RATELIMIT_WRITES": "Changes of one account by its owner",
    "RATELIMIT_FACTOR": "Codes for one account",
    "RATELIMIT_FACTOR_NETWORK": "Codes from one network",
}

# Looks at the deployment. `create_app` hands it over: the pages may not import the doctor.
Look = Callable[[Settings], Glance]


def init_app(app: Flask, glance: Look) -> None:
    app.extensions["glance"] = glance


@bp.get(PATH)
@for_superusers
def system_page() -> Response:
    settings: Settings = current_app.config["SETTINGS"]
    look: Look = current_app.extensions["glance"]
    glance = look(settings)
    stopped = in_time(LONGEST_SECONDS, suspensions.glance)
    found = stopped.accounts if stopped else []
    shown = found[:MOST_ACCOUNTS]
    people = directory.by_ids({one.user_id for one in shown})
    me = current_user().id
    return render_admin(
        "admin/system.html",
        version=VERSION,
        database=_database(),
        parts=readiness.of_parts(),
        settings=settings,
        findings=findings.shown(glance.findings),
        left_out=len(glance.left_out),
        stopped=[
            (one, people[one.user_id], one.kind in operating.unlocked_by(me, one.user_id))
            for one in shown
            if one.user_id in people
        ],
        others=stopped.others + len(found) - len(shown) if stopped else None,
        charts=_charts(last_day.read()),
        limits=list(_limits(settings)),
    )


class _Database(NamedTuple):
    name: str
    is_current: bool
    revisions: str


def _database() -> _Database:
    with db.engine.connect() as connection:
        state = migration_state.read(connection)
        revisions = ", ".join(migration_state.applied(connection))
        version = ".".join(map(str, connection.dialect.server_version_info or ()))
    name = {"postgresql": "PostgreSQL", "sqlite": "SQLite"}[db.engine.dialect.name]
    return _Database(f"{name} {version}", state.is_current, revisions)


def _charts(day: last_day.Day) -> list[Chart]:
    registered = [(gettext("Registered"), "k1"), (gettext("Made by administrators"), "k3")]
    outcomes = [
        (gettext("Succeeded"), "k1"),
        (gettext("Wrong password, passkey or code"), "k2"),
        (gettext("Unknown name"), "k3"),
        (gettext("Refused for another reason"), "k4"),
    ]
    mails = [
        (gettext("Delivered"), "k1"),
        (gettext("Waiting"), "k3"),
        (gettext("Set aside"), "k2"),
    ]
    alive = [(gettext("Signed-in devices"), "k1")]
    estimated = gettext("Estimated from a part of the sessions.") if day.is_estimated else ""
    return [
        Chart(gettext("New accounts"), charts.columns(day.registrations, registered), day.hours),
        Chart(gettext("Logins"), charts.columns(day.logins, outcomes), day.hours),
        Chart(
            gettext("Signed-in devices at the end of each hour"),
            charts.columns(day.sessions, alive),
            day.hours,
            has_totals=False,
            hint=estimated,
        ),
        Chart(
            gettext("Mails, by the hour in which they were queued"),
            charts.columns(day.mails, mails),
            day.hours,
        ),
    ]


def _limits(settings: Settings) -> Iterator[tuple[str, str, str]]:
    """The name of each limit, what it counts, and how many it allows."""
    for table, holder in ((type(settings), settings), *settings.tables.items()):
        for field, variable in variables_of(table).items():
            value = getattr(holder, field)
            if variable.name.startswith("RATELIMIT_") and isinstance(value, list | tuple):
                label = gettext(LIMITS[variable.name]) if variable.name in LIMITS else ""
                yield variable.name, label, words.listed([_in_words(limit) for limit in value])


def _in_words(limit: Any) -> str:
    time = times.span(timedelta(seconds=limit.get_expiry()))
    return str(gettext("%(number)d in %(time)s", number=limit.amount, time=time))
