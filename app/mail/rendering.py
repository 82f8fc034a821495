"""What a queued mail says to its reader, in their language."""

from dataclasses import replace
from typing import Any

from flask_babel import force_locale
from flask_babel import gettext as _
from sqlalchemy import select

from app.extensions import db
from app.mail import names, wordings
from app.mail.content import Content
from app.mail.outbox import unseal
from app.models import User
from app.models.outbox_message import OutboxMessage
from config import settings


def render(row: OutboxMessage) -> Content:
    """The content of a mail, with the account that it is about. Ends the transaction."""
    return worded(row, unseal(row.sealed or ""))


def worded(row: OutboxMessage, context: dict[str, Any]) -> Content:
    """The content of a mail, worded with these arguments. Ends the transaction."""
    username = _username(row)
    with force_locale(row.locale):
        content = wordings.message_called(row.message)(**context)
        return replace(
            content,
            facts=(*([(_("Username"), username)] if username else []), *content.facts),
            preheader=content.preheader or _preview(content),
            reason=content.reason or _sent_to(row.recipient),
            contact=_("Do you have a question? Write to"),
            language=row.locale,
        )


def _username(row: OutboxMessage) -> str:
    """The username of the account, so that somebody who has several knows which one is meant.

    Until the address is confirmed, a stranger may have chosen the username.
    """
    about = select(User.username, User.email, User.email_verified).where(User.id == row.user_id)
    found = db.session.execute(about).one_or_none()
    # A mail server may take minutes, and needs no connection to the database.
    db.session.rollback()
    if found is None:
        return ""
    is_confirmed = found.email_verified and found.email == row.recipient
    return found.username if is_confirmed else names.without_link(found.username)


def _preview(content: Content) -> str:
    values = " · ".join(value for _name, value in content.facts)
    return values or "".join(content.paragraphs[:1])


def _sent_to(recipient: str) -> str:
    sentence: str = _(
        "%(product)s sent this mail to %(address)s.",
        product=settings.brand_name,
        address=recipient,
    )
    return sentence
