"""The mails about an account: a new one, an invitation, and its deletion."""

from flask_babel import gettext as _

from app.mail.content import Content, link
from app.mail.messages.notices import notice, summary
from app.mail.wordings import message


@message("verify_email")
def verify_email(*, token: str) -> Content:
    return Content(
        _("Confirm your email address"),
        (
            _("Somebody, probably you, made an account with this email address."),
            _("Confirm that the address is yours. The link works for 24 hours."),
            _("If it was not you, do nothing: the account stays unconfirmed."),
        ),
        _("Confirm the address"),
        link("verify-email", token),
    )


@message("account_exists")
def account_exists(*, token: str, minutes: int) -> Content:
    return Content(
        _("You have an account already"),
        (
            _("Somebody, probably you, wanted to make an account with this email address."),
            _("You have one already, so no new one was made. Log in to that account."),
            _(
                "If you forgot the password, set a new one here. The link works once, for "
                "%(minutes)d minutes.",
                minutes=minutes,
            ),
        ),
        _("Set a new password"),
        link("reset-password", token),
    )


@message("invitation")
def invitation(*, token: str) -> Content:
    return Content(
        _("An account was made for you"),
        (
            _("An administrator made an account for you with this email address."),
            _("Choose a password to use it. The link works once, for 3 days."),
        ),
        _("Choose a password"),
        link("accept-invitation", token),
    )


@message("deletion_asked")
def deletion_asked(*, token: str, when: str, ip: str, device: str, due: str) -> Content:
    return notice(
        _("Your account will be deleted"),
        _(
            "Somebody, probably you, asked to delete your account. It will be erased on %(due)s. "
            "To keep it, log in before then.",
            due=due,
        ),
        token,
        when,
        ip,
        device,
    )


@message("many_deletions_asked")
def many_deletions_asked(*, token: str, when: str, ip: str, device: str) -> Content:
    return summary(
        _("Somebody asked many times to delete your account"),
        _(
            "Somebody asked more than three times within an hour to delete your account. It will "
            "be erased. To keep it, log in."
        ),
        token,
        when,
        ip,
        device,
    )
