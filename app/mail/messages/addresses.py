"""The mails about the change of an address."""

from typing import Unpack

from flask_babel import gettext as _

from app.mail import names
from app.mail.content import Content, link
from app.mail.messages import reasons
from app.mail.messages.notices import (
    Occasion,
    circumstances,
    last_circumstances,
    no_more,
)
from app.mail.wordings import message
from config import settings


@message("confirm_email_change")
def confirm_email_change(*, token: str) -> Content:
    return Content(
        _("Confirm your new email address for %(product)s", product=settings.brand_name),
        (
            _(
                "Somebody, probably you, asked %(product)s to use this email address for an "
                "account.",
                product=settings.brand_name,
            ),
            _("Confirm that it is yours. The link works once, for an hour."),
            _("If it was not you, do nothing: nothing will change."),
        ),
        _("Confirm the address"),
        link("confirm-email", token),
        reason=reasons.address_entered(),
    )


@message("address_in_use")
def address_in_use() -> Content:
    return Content(
        _("Your email address is in use already"),
        (
            _(
                "At %(product)s, somebody wanted to use this email address for another account.",
                product=settings.brand_name,
            ),
            _("It belongs to your account, so nothing was changed. You need not do anything."),
        ),
        reason=reasons.address_entered(),
    )


@message("email_change_asked")
def email_change_asked(*, new_email: str, **occasion: Unpack[Occasion]) -> Content:
    return Content(
        _("Your email address is about to change"),
        (
            _(
                "Somebody, probably you, asked to change the email address of your account to "
                "%(new_email)s.",
                new_email=names.cut(new_email),
            ),
            _undo(),
        ),
        _("Undo the change"),
        link("undo-email-change", occasion["token"]),
        facts=circumstances(occasion),
        reason=reasons.account_security(),
    )


@message("many_email_changes_asked")
def many_email_changes_asked(**occasion: Unpack[Occasion]) -> Content:
    return Content(
        _("Your email address is about to change"),
        (
            _("Somebody asked more than three times within an hour to change your email address."),
            no_more(),
            _undo(),
        ),
        _("Undo the change"),
        link("undo-email-change", occasion["token"]),
        facts=last_circumstances(occasion),
        reason=reasons.account_security(),
    )


def _undo() -> str:
    sentence: str = _(
        "If it was not you, undo it within 7 days: your account keeps this address or gets it "
        "back, all devices are signed out, and you get a link to set a new password."
    )
    return sentence
