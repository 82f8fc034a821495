"""Times as people say them: "3 hours ago", "14 days".

Babel can say them in every language, but it loads four megabytes into each
process for that.
"""

from datetime import datetime, timedelta

from flask_babel import gettext, ngettext

from app import clock

MINUTE, HOUR, DAY = 60, 60 * 60, 24 * 60 * 60
MONTH, YEAR = 2_629_746, 31_556_952
# Below these numbers of seconds, the next smaller unit says it better: "45 days", "90 minutes".
FROM_YEARS, FROM_MONTHS, FROM_DAYS, FROM_HOURS = 2 * YEAR, 2 * MONTH, 2 * DAY, HOUR


def span(length: timedelta) -> str:
    """How long something lasts, rounded: "14 days"."""
    seconds = max(0, round(length.total_seconds()))
    if seconds >= FROM_YEARS:
        return str(ngettext("%(num)d year", "%(num)d years", round(seconds / YEAR)))
    if seconds >= FROM_MONTHS:
        return str(ngettext("%(num)d month", "%(num)d months", round(seconds / MONTH)))
    if seconds >= FROM_DAYS:
        return str(ngettext("%(num)d day", "%(num)d days", round(seconds / DAY)))
    if seconds >= FROM_HOURS:
        return str(ngettext("%(num)d hour", "%(num)d hours", round(seconds / HOUR)))
    if seconds >= MINUTE:
        return str(ngettext("%(num)d minute", "%(num)d minutes", round(seconds / MINUTE)))
    return str(ngettext("%(num)d second", "%(num)d seconds", seconds))


def ago(when: datetime) -> str:
    """How far an instant is from now: "3 hours ago", or "in 3 hours"."""
    passed = clock.now() - when
    # The clocks of two hosts may differ a little, so a moment that has passed may seem to come.
    if -timedelta(seconds=1) < passed < timedelta(minutes=1):
        return str(gettext("just now"))
    if -timedelta(minutes=1) < passed < timedelta(0):
        return str(gettext("in less than a minute"))
    if passed > timedelta(0):
        return str(gettext("%(time)s ago", time=span(passed)))
    return str(gettext("in %(time)s", time=span(-passed)))


def exact(when: datetime) -> str:
    """The instant in UTC. The script of the pages writes it in the reader's time zone."""
    return f"{when:%Y-%m-%d %H:%M} UTC"


def day(when: datetime) -> str:
    parts = {"year": when.year, "month": when.month, "day": when.day}
    return str(gettext("%(year)d-%(month)02d-%(day)02d", **parts))
