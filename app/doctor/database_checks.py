"""Checks of the database."""

from datetime import timedelta
from typing import Any

from sqlalchemy import func, select, text
from sqlalchemy.exc import SQLAlchemyError

from app import clock, features
from app.database import fitness, migration_state
from app.doctor.checks import checks
from app.doctor.setting_checks import HERE
from app.extensions import db
from app.features.checks import Reason, Weight
from app.models import Role, User
from config import Settings
from configuration.database_servers import database_hosts

# docs/deploying.md asks for less than ten seconds between any two.
LARGEST_CLOCK_SKEW = timedelta(seconds=5)


@checks(
    Weight.DANGEROUS,
    "Check that DATABASE_URL is right, that the server runs, and that it accepts this host.",
    stops=True,
)
def database_answers(_settings: Settings) -> str | None:
    try:
        with db.engine.connect():
            return None
    except SQLAlchemyError as error:
        reason = str(getattr(error, "orig", error)).partition("\n")[0]
        return Reason("The database does not answer: %(reason)s.", reason=reason)


@checks(
    Weight.DANGEROUS,
    "Do what the sentence says: the server does not start with an unfit database.",
    stops=True,
)
def database_is_fit(_settings: Settings) -> str | None:
    with db.engine.connect() as connection:
        flaws = migration_state.read(connection).flaws
    if "replica" in db.engines:
        try:
            flaws += fitness.flaws_of_the_replica(db.engines["replica"])
        except SQLAlchemyError as error:
            reason = str(getattr(error, "orig", error)).partition("\n")[0]
            flaws.append(f"The replica does not answer: {reason}.")
    return " ".join(flaws) or None


@checks(
    Weight.WEAK,
    "Set sslmode=verify-full in DATABASE_URL; sslrootcert names the file with the CA certificate.",
)
def database_is_verified(settings: Settings) -> str | None:
    if not _is_remote(settings):
        return None
    mode = settings.database_url.query.get("sslmode", "prefer")
    if mode in ("require", "verify-ca"):
        return Reason("sslmode is %(mode)s: another host can pose as the database.", mode=mode)
    return None


@checks(Weight.DANGEROUS, "Set sslmode=verify-full in DATABASE_URL.")
def database_is_encrypted(settings: Settings) -> str | None:
    mode = settings.database_url.query.get("sslmode", "prefer")
    if _is_remote(settings) and mode not in ("require", "verify-ca", "verify-full"):
        hosts = " and ".join(database_hosts(settings.database_url))
        return Reason(
            "The connection to %(hosts)s may go without TLS (sslmode is %(mode)s).",
            hosts=hosts,
            mode=mode,
        )
    return None


@checks(
    Weight.DANGEROUS,
    "Let the server connect with a role of its own; docs/deploying.md has the statements.",
)
def role_is_no_superuser(settings: Settings) -> str | None:
    if settings.uses_sqlite:
        return None
    rights = "rolsuper OR rolcreaterole OR rolbypassrls"
    if scalar(f"SELECT {rights} FROM pg_roles WHERE rolname = current_user"):  # noqa: S608
        return Reason(
            "The role %(username)s has rights over all of PostgreSQL.",
            username=settings.database_url.username,
        )
    return None


@checks(
    Weight.WEAK,
    "Lower WEB_THREADS or WEB_CONCURRENCY, raise max_connections, or put PgBouncer in between.",
)
def connections_fit(settings: Settings) -> str | None:
    if settings.uses_sqlite:
        return None
    wanted = settings.web_concurrency * (settings.web_threads + 2)
    allowed = scalar(
        "SELECT current_setting('max_connections')::int"
        " - current_setting('superuser_reserved_connections')::int"
    )
    if wanted > allowed:
        return Reason(
            "This server may open %(wanted)s connections; PostgreSQL allows %(allowed)s in total.",
            wanted=wanted,
            allowed=allowed,
        )
    return None


@checks(Weight.WEAK, "Let NTP set the clocks of all hosts.")
def clocks_agree(settings: Settings) -> str | None:
    if settings.uses_sqlite:
        return None
    skew = abs(scalar("SELECT clock_timestamp()") - clock.now())
    if skew > LARGEST_CLOCK_SKEW:
        seconds = round(skew.total_seconds())
        return Reason(
            "The clocks of this host and of the database differ by %(seconds)s seconds.",
            seconds=seconds,
        )
    return None


@checks(Weight.DANGEROUS, "Run flask db upgrade.", stops=True)
def migrations_are_applied(_settings: Settings) -> str | None:
    with db.engine.connect() as connection:
        if not migration_state.read(connection).is_current:
            return Reason("A migration is missing, so /readyz answers 503.")
    return None


@checks(
    Weight.DANGEROUS,
    "Check that DATABASE_URL leads to the primary server, and that its disk is not full.",
)
def database_takes_writes(_settings: Settings) -> str | None:
    try:
        with db.engine.connect() as connection:
            migration_state.refuse_unless_writable(connection)
    except SQLAlchemyError as error:
        reason = str(getattr(error, "orig", error)).partition("\n")[0]
        return Reason("The database accepts no writes: %(reason)s.", reason=reason)
    return None


@checks(
    Weight.WEAK,
    "Let another role own the tables and run migrations; docs/deploying.md has the statements.",
)
def role_cannot_change_tables(settings: Settings) -> str | None:
    if settings.uses_sqlite:
        return None
    if scalar(
        # A member of the owner may become it by SET ROLE.
        "SELECT pg_has_role(relowner, 'MEMBER') OR has_schema_privilege(relnamespace, 'CREATE')"
        " FROM pg_class WHERE oid = to_regclass('users')"
    ):
        return Reason("The role of the server may change and drop the tables.")
    return None


@checks(Weight.GOOD_TO_KNOW, "Run flask users create … --superuser.")
def somebody_is_superuser(_settings: Settings) -> str | None:
    with db.engine.connect() as connection:
        some = select(User.id).where(User.is_superuser, User.is_active).limit(1)
        if connection.scalar(some) is None:
            return Reason("There is no active superuser.")
    return None


def _is_remote(settings: Settings) -> bool:
    hosts = database_hosts(settings.database_url)
    return any(host not in HERE and not host.startswith("/") for host in hosts)


def scalar(statement: str) -> Any:
    with db.engine.connect() as connection:
        return connection.scalar(text(statement))


@checks(
    Weight.WEAK,
    "Put the features back into OPTIONAL, or do what docs/second-factors.md says about taking them "
    "out.",
)
def no_second_factor_is_wanted_in_vain(_settings: Settings) -> str | None:
    if any(feature.has_factor for feature in features.active()):
        return None
    roles = db.session.scalars(select(Role.name).where(Role.require_mfa).order_by(Role.name)).all()
    count = select(func.count()).select_from(User).where(User.second_step_at.is_not(None))
    people = db.session.scalar(count) or 0
    if not roles and not people:
        return None
    return Reason(
        "This tree has no feature for second factors. Accounts with the second step on: "
        "%(people)s. Roles that give nothing without a factor: %(roles)s.",
        people=people,
        roles=", ".join(roles) or "none",
    )
