"""The words of the mails: one function for each message, in the current language.

The words are chosen when a mail is delivered, from text and numbers that were
kept in the outbox.
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
    """Return the address of a link. No server and no log sees the fragment with the token."""
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
            _("Set a new one here. The link works once, for %(minutes)d minutes.", minutes=minutes),
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
                "You told us that somebody else used or changed your account. So we signed out "
                "all devices, and the old password no longer works."
            ),
            _("Set a new one here. The link works once, for %(minutes)d minutes.", minutes=minutes),
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


def confirm_email_change(*, token: str) -> Content:
    return Content(
        _("Confirm your new email address"),
        (
            _("Somebody, probably you, asked to use this email address for an account."),
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
        _("Somebody, probably you, used your account on a device that is new to us."),
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
            "An old copy of one of your logins was used. The copy may have been stolen, so we "
            "ended this login. Log in again on your device."
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
            "Somebody, probably you, asked to delete your account. It will be erased on %(due)s. "
            "To keep it, log in before then.",
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
            "Old copies of your logins were used more than three times within an hour. They may "
            "have been stolen, so we ended these logins. Log in again on your devices."
        ),
        token,
        when,
        ip,
        device,
    )


def many_deletions_asked(*, token: str, when: str, ip: str, device: str) -> Content:
    return _summary(
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


def many_email_changes_asked(*, token: str, when: str, ip: str, device: str) -> Content:
    return Content(
        _("Your email address is about to change"),
        (
            _("Somebody asked more than three times within an hour to change your email address."),
            _where_last(when, ip, device),
            _("We will not send another mail about this for an hour."),
            _undo(),
        ),
        _("This was not me: undo it"),
        link("undo-email-change", token),
    )


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


def _notice(subject: str, sentence: str, token: str, when: str, ip: str, device: str) -> Content:
    """A security notice: what happened, when, from where, and what to do (800-63B-4 §4.6)."""
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
    """The last mail after several notices of a kind, because more of them would only disturb."""
    return Content(
        subject,
        (
            sentence,
            _where_last(when, ip, device),
            _("We will not send another mail about this for an hour."),
            _not_me(),
        ),
        _("This was not me"),
        link("not-me", token),
    )


def _not_me() -> str:
    sentence: str = _(
        "If it was not you, use the link within 7 days: it signs all devices out and sends you "
        "another link to set a new password."
    )
    return sentence


def _undo() -> str:
    sentence: str = _(
        "If it was not you, undo it within 7 days: your account keeps this address or gets it "
        "back, all devices are signed out, and you get a link to set a new password."
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
