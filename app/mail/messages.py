"""What the mails say: one function a message, in the language that is in force.

They are worded when they are delivered, from text and numbers that were kept
in the outbox.
"""

from dataclasses import dataclass

from flask_babel import gettext as _

from config import settings


@dataclass(frozen=True)
class Content:
    """One mail: a subject, paragraphs, and perhaps a button."""

    subject: str
    paragraphs: tuple[str, ...]
    label: str | None = None
    link: str | None = None


def link(page: str, token: str) -> str:
    """Where a link leads. The token is in the fragment, which no server and no log sees."""
    return f"{settings.public_url}/account/{page}#token={token}"


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


def password_reset(*, token: str, minutes: int) -> Content:
    return Content(
        _("Set a new password"),
        (
            _("Somebody, probably you, asked for a new password for your account."),
            _("Set it here. The link works once, for %(minutes)d minutes.", minutes=minutes),
            _("If it was not you, do nothing: your password stays as it is."),
        ),
        _("Set a new password"),
        link("reset-password", token),
    )


def account_recovery(*, token: str, minutes: int) -> Content:
    return Content(
        _("Set a new password"),
        (
            _(
                "You told us that it was not you, so all devices are signed out, and the old "
                "password no longer works."
            ),
            _("Set it here. The link works once, for %(minutes)d minutes.", minutes=minutes),
            _("If the link no longer works, ask for another one where you log in."),
        ),
        _("Set a new password"),
        link("reset-password", token),
    )


def account_exists(*, token: str, minutes: int) -> Content:
    return Content(
        _("You have an account already"),
        (
            _("Somebody, probably you, wanted to make an account with this email address."),
            _("There is one already, so none was made. Log in with it."),
            _(
                "If you forgot the password, set a new one here. The link works once, for "
                "%(minutes)d minutes.",
                minutes=minutes,
            ),
        ),
        _("Set a new password"),
        link("reset-password", token),
    )


def confirm_email_change(*, token: str) -> Content:
    return Content(
        _("Confirm your new email address"),
        (
            _("You asked to use this email address for your account."),
            _("Confirm that it is yours. The link works once, for an hour."),
            _("If it was not you, do nothing: nothing will change."),
        ),
        _("Confirm the address"),
        link("confirm-email", token),
    )


def address_in_use() -> Content:
    return Content(
        _("Your email address is in use already"),
        (
            _("Somebody wanted to use this email address for another account."),
            _("It belongs to your account, so nothing was changed. You need not do anything."),
        ),
    )


def email_change_asked(*, token: str, new_email: str, when: str, ip: str, device: str) -> Content:
    return Content(
        _("Your email address is about to change"),
        (
            _(
                "Somebody, probably you, asked to change the email address of your account to "
                "%(new_email)s.",
                new_email=new_email,
            ),
            _where(when, ip, device),
            _undo(),
        ),
        _("This was not me: undo it"),
        link("undo-email-change", token),
    )


def new_device(*, token: str, when: str, ip: str, device: str) -> Content:
    return _notice(
        _("A new device logged in to your account"),
        _("Your account was used on a device that we have not seen before."),
        token,
        when,
        ip,
        device,
    )


def password_changed(*, token: str, when: str, ip: str, device: str) -> Content:
    return _notice(
        _("Your password was changed"),
        _("The password of your account was changed, and other devices were signed out."),
        token,
        when,
        ip,
        device,
    )


def refresh_token_reused(*, token: str, when: str, ip: str, device: str) -> Content:
    return _notice(
        _("A device was signed out for your safety"),
        _(
            "A login of yours was used a second time with an old copy of it. It may have been "
            "stolen, so it was ended. Log in again on your device."
        ),
        token,
        when,
        ip,
        device,
    )


def deletion_asked(*, token: str, when: str, ip: str, device: str, due: str) -> Content:
    return _notice(
        _("Your account will be deleted"),
        _(
            "You asked to delete your account. It will be erased on %(due)s. Until then, logging "
            "in keeps it.",
            due=due,
        ),
        token,
        when,
        ip,
        device,
    )


def many_new_devices(*, token: str, when: str, ip: str, device: str) -> Content:
    return _summary(
        _("Many new devices log in to your account"),
        _("More than three new devices logged in to your account within an hour."),
        token,
        when,
        ip,
        device,
    )


def many_password_changes(*, token: str, when: str, ip: str, device: str) -> Content:
    return _summary(
        _("Your password was changed many times"),
        _("The password of your account was changed more than three times within an hour."),
        token,
        when,
        ip,
        device,
    )


def many_refresh_tokens_reused(*, token: str, when: str, ip: str, device: str) -> Content:
    return _summary(
        _("Many devices were signed out for your safety"),
        _(
            "More than three logins of yours were used with an old copy within an hour, and were "
            "ended. They may have been stolen."
        ),
        token,
        when,
        ip,
        device,
    )


def many_deletions_asked(*, token: str, when: str, ip: str, device: str) -> Content:
    return _summary(
        _("The deletion of your account was asked for many times"),
        _(
            "The deletion of your account was asked for more than three times within an hour. The "
            "account will be erased unless somebody logs in to it."
        ),
        token,
        when,
        ip,
        device,
    )


def many_email_changes_asked(*, token: str, when: str, ip: str, device: str) -> Content:
    return Content(
        _("Your email address is about to change"),
        (
            _("More than three changes of your email address were asked for within an hour."),
            _where_last(when, ip, device),
            _("For an hour there will be no more mails about this."),
            _undo(),
        ),
        _("This was not me: undo it"),
        link("undo-email-change", token),
    )


def invitation(*, token: str) -> Content:
    return Content(
        _("You are invited"),
        (
            _("An account was made for you."),
            _("Choose a password to use it. The link works once, for 3 days."),
        ),
        _("Choose a password"),
        link("accept-invitation", token),
    )


def _notice(subject: str, sentence: str, token: str, when: str, ip: str, device: str) -> Content:
    """A security notice: what, when, from where, and what to do about it (800-63B-4 §4.6)."""
    return Content(
        subject,
        (
            sentence,
            _where(when, ip, device),
            _not_me(),
        ),
        _("This was not me"),
        link("not-me", token),
    )


def _summary(subject: str, sentence: str, token: str, when: str, ip: str, device: str) -> Content:
    """The one mail after several notices of a kind; more of them would only be noise."""
    return Content(
        subject,
        (
            sentence,
            _where_last(when, ip, device),
            _("For an hour there will be no more mails about this."),
            _not_me(),
        ),
        _("This was not me"),
        link("not-me", token),
    )


def _not_me() -> str:
    sentence: str = _(
        "If it was not you: the link signs all devices out and sends you another link to "
        "set a new password. It works for 7 days."
    )
    return sentence


def _undo() -> str:
    sentence: str = _(
        "If it was not you, undo it within 7 days: this address stays or comes back, all "
        "devices are signed out, and you get a link to set a new password."
    )
    return sentence


def _where_last(when: str, ip: str, device: str) -> str:
    sentence: str = _(
        "The last time: %(when)s. From: %(ip)s. Device: %(device)s.",
        when=when,
        ip=ip or _("unknown"),
        device=device or _("unknown"),
    )
    return sentence


def _where(when: str, ip: str, device: str) -> str:
    sentence: str = _(
        "When: %(when)s. From: %(ip)s. Device: %(device)s.",
        when=when,
        ip=ip or _("unknown"),
        device=device or _("unknown"),
    )
    return sentence
