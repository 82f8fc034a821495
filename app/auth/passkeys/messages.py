"""The mail about a passkey that may have been copied."""

from typing import Unpack

from flask_babel import gettext as _

from app.auth.mfa.messages import many_factor_changes, not_me
from app.auth.notices import summarize
from app.mail.content import Content
from app.mail.messages.notices import Occasion, notice
from app.mail.wordings import message


@message("passkey_copied")
def passkey_copied(*, added: str, **occasion: Unpack[Occasion]) -> Content:
    """It does not quote the name of the passkey: a stranger may have chosen it."""
    return notice(
        _("A passkey of your account may have been copied"),
        _(
            "Somebody used a passkey of your account that may be a copy, so we refused it. The "
            "passkey was added on %(added)s. Remove it, and add a new one.",
            added=added,
        ),
        occasion,
        not_me=not_me(),
    )


summarize(passkey_copied, by=many_factor_changes)
