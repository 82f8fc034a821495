"""The mail about a passkey that may have been copied."""

from flask_babel import gettext as _

from app.auth.mfa.messages import many_factor_changes
from app.auth.notices import summarize
from app.mail.content import Content
from app.mail.messages.notices import notice
from app.mail.wordings import message


@message("passkey_copied")
def passkey_copied(*, name: str, token: str, when: str, ip: str, device: str) -> Content:
    return notice(
        _("A passkey of your account may have been copied"),
        _(
            "Somebody used your passkey “%(name)s”, and its counter went back. There may be a copy "
            "of the key, so we refused the login. Remove the passkey, and add a new one.",
            name=name,
        ),
        token,
        when,
        ip,
        device,
    )


summarize(passkey_copied, by=many_factor_changes)
