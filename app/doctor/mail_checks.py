"""Checks of mail."""

from datetime import timedelta

from sqlalchemy import func, select

from app import clock
from app.doctor.checks import checks
from app.extensions import db
from app.features.checks import Reason, Weight
from app.mail import delivery
from app.models import OutboxMessage
from app.models.outbox_message import SET_ASIDE
from config import Settings

OLDEST_MAIL = timedelta(minutes=15)


@checks(
    Weight.WEAK,
    "Run flask outbox list, and check that the mail server accepts mail.",
)
def mail_is_delivered(_settings: Settings) -> str | None:
    backlog = delivery.backlog()
    if backlog.oldest and clock.now() - backlog.oldest > OLDEST_MAIL:
        since = f"{backlog.oldest:%Y-%m-%d %H:%M}"
        return Reason(
            "Waiting mails: %(waiting)s, the oldest since %(since)s UTC.",
            waiting=backlog.waiting,
            since=since,
        )
    return None


@checks(Weight.GOOD_TO_KNOW, "Run flask outbox list, and retry or drop them.")
def no_mail_was_set_aside(_settings: Settings) -> str | None:
    with db.engine.connect() as connection:
        aside = select(func.count()).select_from(OutboxMessage).where(SET_ASIDE)
        number = connection.scalar(aside)
    if not number:
        return None
    return Reason("Mails that were set aside, and are not tried again: %(number)s.", number=number)
