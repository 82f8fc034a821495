"""The mail of an invitation."""

from typing import Any

from flask_babel import gettext as _
from sqlalchemy import select

from app.extensions import db
from app.mail.content import Content
from app.mail.outbox import context_of, is_mailed_enough
from app.mail.wordings import Wording, message, resolver
from app.models import User
from app.models.outbox_message import OutboxMessage
from config import settings
from screenplays.models import Person


@message("screenplays_invited")
def invited(*, inviter: str) -> Content:
    """It does not have the title: strangers could write whatever they like into a mail of ours."""
    return Content(
        _("%(inviter)s invites you to a screenplay", inviter=inviter),
        (
            _("%(inviter)s would like to write a screenplay with you.", inviter=inviter),
            _("Log in, or register with this address, and accept or decline the invitation."),
        ),
        _("See the invitation"),
        f"{settings.public_url}/screenplays",
        reason=_("You get this mail because somebody entered this address or your username."),
    )


@resolver("screenplays_invitation_asked")
def invitation_asked(request: OutboxMessage) -> tuple[Wording, dict[str, Any]] | None:
    """Decide outside the request, so that its time does not tell whether there is an account."""
    asked = context_of(request)
    person = db.session.get(Person, asked["person"])
    if person is None or person.accepted_at or is_mailed_enough(request.recipient, invited):
        return None
    user = db.session.scalar(select(User).where(User.email == request.recipient))
    request.user_id = user.id if user else None
    request.locale = user.locale if user else asked["locale"]
    return invited, {"inviter": person.screenplay.owner.username}
