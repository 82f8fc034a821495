"""The mails about second factors."""

from flask_babel import gettext as _

from app.auth.notices import summarize
from app.mail.content import Content, link
from app.mail.messages.notices import notice, summary, where
from app.mail.wordings import message


@message("factor_added")
def factor_added(*, factor: str, token: str, when: str, ip: str, device: str) -> Content:
    return notice(
        _("A second factor was added to your account"),
        _(
            "Somebody, probably you, added a second factor to your account: %(factor)s.",
            factor=_named(factor),
        ),
        token,
        when,
        ip,
        device,
    )


@message("factor_removed")
def factor_removed(*, factor: str, token: str, when: str, ip: str, device: str) -> Content:
    return notice(
        _("A second factor was removed from your account"),
        _(
            "Somebody, probably you, removed a second factor from your account: %(factor)s.",
            factor=_named(factor),
        ),
        token,
        when,
        ip,
        device,
    )


@message("factors_reset")
def factors_reset(*, token: str, when: str, ip: str, device: str) -> Content:
    return notice(
        _("Your second factors were removed"),
        _(
            "An administrator removed all second factors and recovery codes of your account, and "
            "signed out all devices. Log in with your password, and set up a second factor again."
        ),
        token,
        when,
        ip,
        device,
    )


@message("recovery_code_used")
def recovery_code_used(*, left: int, token: str, when: str, ip: str, device: str) -> Content:
    return notice(
        _("A recovery code of your account was used"),
        _(
            "Somebody, probably you, logged in with a recovery code. The number of codes that are "
            "left: %(left)d.",
            left=left,
        ),
        token,
        when,
        ip,
        device,
    )


@message("few_recovery_codes_left")
def few_recovery_codes_left(*, left: int, token: str, when: str, ip: str, device: str) -> Content:
    return notice(
        _("You have few recovery codes left"),
        _(
            "Somebody, probably you, logged in with a recovery code. The number of codes that are "
            "left is only %(left)d. Make new ones in your account, and keep them in a safe place.",
            left=left,
        ),
        token,
        when,
        ip,
        device,
    )


@message("wrong_codes")
def wrong_codes(*, token: str, when: str, ip: str, device: str) -> Content:
    return Content(
        _("Somebody knows your password"),
        (
            _(
                "Somebody gave the right password of your account and then five wrong codes. If "
                "it was not you, that person knows your password, and only your second factor "
                "protects your account."
            ),
            where(when, ip, device),
            _("Set a new password here. Your second factor stays as it is."),
        ),
        _("Set a new password"),
        link("reset-password", token),
    )


@message("many_factor_changes")
def many_factor_changes(*, token: str, when: str, ip: str, device: str) -> Content:
    return summary(
        _("Your second factors changed many times"),
        _("Your second factors were changed or used in an unusual way more than three times."),
        token,
        when,
        ip,
        device,
    )


ALL = (
    factor_added,
    factor_removed,
    factors_reset,
    recovery_code_used,
    few_recovery_codes_left,
    wrong_codes,
)
for each in ALL:
    summarize(each, by=many_factor_changes)


def _named(factor: str) -> str:
    """A kind of factor in words."""
    names = {
        "totp": _("an authenticator app"),
        "passkey": _("a passkey"),
        "recovery_code": _("recovery codes"),
    }
    return str(names.get(factor, factor))
