"""The mails about second factors."""

from typing import Unpack

from flask_babel import gettext as _

from app.auth.notices import summarize
from app.mail.content import Content, link
from app.mail.messages import reasons
from app.mail.messages.notices import Occasion, circumstances, notice, summary
from app.mail.wordings import message


@message("factor_added")
def factor_added(*, factor: str, **occasion: Unpack[Occasion]) -> Content:
    return notice(
        _("A second factor was added to your account"),
        _(
            "Somebody, probably you, added a second factor to your account: %(factor)s.",
            factor=_named(factor),
        ),
        occasion,
        not_me=not_me(),
    )


@message("factor_removed")
def factor_removed(*, factor: str, **occasion: Unpack[Occasion]) -> Content:
    return notice(
        _("A second factor was removed from your account"),
        _(
            "Somebody, probably you, removed a second factor from your account: %(factor)s.",
            factor=_named(factor),
        ),
        occasion,
        not_me=not_me(),
    )


@message("factors_reset")
def factors_reset(**occasion: Unpack[Occasion]) -> Content:
    """It does not say where from: that is the address of an administrator."""
    sentence = _(
        "An administrator removed all second factors and recovery codes of your account, and "
        "signed out all devices. Log in with your password, and set up a second factor again."
    )
    return Content(
        _("Your second factors were removed"),
        (
            sentence,
            _(
                "If you did not ask for this, use the link within 7 days: it signs all devices "
                "out and sends you another link to set a new password."
            ),
        ),
        _("I did not ask for this"),
        link("not-me", occasion["token"]),
        facts=((_("When"), occasion["when"]),),
        reason=reasons.account_security(),
        preheader=sentence,
    )


@message("second_step_switched_off")
def second_step_switched_off(**occasion: Unpack[Occasion]) -> Content:
    return notice(
        _("The second step of your logins was switched off"),
        _(
            "Somebody, probably you, switched the second step of your logins off. The password "
            "alone opens your account now. Your second factors are still there."
        ),
        occasion,
        not_me=not_me(),
    )


@message("recovery_codes_made")
def recovery_codes_made(**occasion: Unpack[Occasion]) -> Content:
    return notice(
        _("New recovery codes were made for your account"),
        _(
            "Somebody, probably you, made new recovery codes for your account. The old ones do "
            "not work any more."
        ),
        occasion,
        not_me=not_me(),
    )


@message("recovery_code_used")
def recovery_code_used(*, left: int, **occasion: Unpack[Occasion]) -> Content:
    return notice(
        _("A recovery code of your account was used"),
        _(
            "Somebody, probably you, used a recovery code of your account. It does not work "
            "again. Recovery codes that are left: %(left)d.",
            left=left,
        ),
        occasion,
        not_me=not_me(),
    )


@message("few_recovery_codes_left")
def few_recovery_codes_left(*, left: int, **occasion: Unpack[Occasion]) -> Content:
    return notice(
        _("You have few recovery codes left"),
        _(
            "Somebody, probably you, used a recovery code of your account. It does not work "
            "again. Recovery codes that are left: %(left)d. Make new ones in your account, and "
            "keep them in a safe place.",
            left=left,
        ),
        occasion,
        not_me=not_me(),
    )


@message("wrong_codes")
def wrong_codes(**occasion: Unpack[Occasion]) -> Content:
    return Content(
        _("Somebody may know your password"),
        (
            _(
                "Somebody, perhaps you, gave the right password of your account and then five "
                "wrong codes."
            ),
            _(
                "If it was you, do nothing. If it was not you, that person knows your password, "
                "and only your second factor protects your account. Set a new password here. Your "
                "second factor stays as it is."
            ),
            _("If the link no longer works, ask for another one where you log in."),
        ),
        _("Set a new password"),
        link("reset-password", occasion["token"]),
        facts=circumstances(occasion),
        reason=reasons.account_security(),
    )


@message("many_factor_changes")
def many_factor_changes(**occasion: Unpack[Occasion]) -> Content:
    return summary(
        _("Your second factors were changed or used many times"),
        _(
            "More than three times within an hour, your second factors were changed, or used in "
            "an unusual way."
        ),
        occasion,
        not_me=not_me(),
    )


ALL = (
    factor_added,
    factor_removed,
    factors_reset,
    second_step_switched_off,
    recovery_codes_made,
    recovery_code_used,
    few_recovery_codes_left,
    wrong_codes,
    many_factor_changes,
)
# The other two have none: wrong codes are mailed once in a day, and a mail that sums up would say
# where the administrator is.
for each in (
    factor_added,
    factor_removed,
    second_step_switched_off,
    recovery_codes_made,
    recovery_code_used,
    few_recovery_codes_left,
):
    summarize(each, by=many_factor_changes)


def not_me() -> str:
    """The sentence that says what the link does, also to second factors."""
    sentence: str = _(
        "If it was not you, use the link within 7 days: it signs all devices out, removes the "
        "second factors that were added in the last 7 days, and sends you another link to set a "
        "new password."
    )
    return sentence


def _named(factor: str) -> str:
    """A kind of factor in words."""
    names = {"totp": _("an authenticator app"), "passkey": _("a passkey")}
    return str(names.get(factor, factor))
