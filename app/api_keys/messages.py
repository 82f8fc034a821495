"""The mails about API keys."""

from typing import Unpack

from flask_babel import gettext as _

from app.auth.notices import summarize
from app.mail.content import Content
from app.mail.messages import reasons
from app.mail.messages.notices import Occasion, notice, summary
from app.mail.wordings import message


@message("key_made")
def key_made(*, key: str, **occasion: Unpack[Occasion]) -> Content:
    """It does not quote the name of the key: a stranger may have chosen it."""
    return notice(
        _("An API key was made for your account"),
        _(
            "Somebody, probably you, made an API key for your account: %(key)s. Programs that "
            "have it can act for you.",
            key=key,
        ),
        occasion,
        not_me=not_me(),
    )


@message("key_rotated")
def key_rotated(*, key: str, **occasion: Unpack[Occasion]) -> Content:
    return notice(
        _("An API key of your account was replaced"),
        _(
            "Somebody, probably you, replaced an API key of your account. The new key is %(key)s.",
            key=key,
        ),
        occasion,
        not_me=not_me(),
    )


@message("key_widened")
def key_widened(*, key: str, **occasion: Unpack[Occasion]) -> Content:
    return notice(
        _("An API key of your account works from more networks"),
        _(
            "Somebody, probably you, let the API key %(key)s of your account work from more "
            "networks than before.",
            key=key,
        ),
        occasion,
        not_me=not_me(),
    )


@message("key_reported")
def key_reported(*, key: str, **occasion: Unpack[Occasion]) -> Content:
    return notice(
        _("An API key of your account was revoked"),
        _(
            "Somebody who has the API key %(key)s of your account revoked it. If it was not you, "
            "somebody found the key, for example in published source code. Programs that use it "
            "need a new one.",
            key=key,
        ),
        occasion,
        not_me=not_me(),
    )


@message("many_key_changes")
def many_key_changes(**occasion: Unpack[Occasion]) -> Content:
    return summary(
        _("The API keys of your account were changed many times"),
        _("More than three times within an hour, an API key of your account was changed."),
        occasion,
        not_me=not_me(),
    )


@message("keys_end_soon")
def keys_end_soon(*, keys: str, until: str) -> Content:
    """``keys`` and ``until`` have one line for each key."""
    facts = zip(keys.split("\n"), until.split("\n"), strict=True)
    return Content(
        _("An API key of your account ends soon"),
        (
            _(
                "An API key of your account stops working in a few days. If programs still need "
                "it, replace it, and give the new key to them."
            ),
        ),
        facts=tuple((key, _("until %(end)s", end=end)) for key, end in facts),
        reason=reasons.account_security(),
    )


ALL = (key_made, key_rotated, key_widened, key_reported, many_key_changes, keys_end_soon)
for each in (key_made, key_rotated, key_widened, key_reported):
    summarize(each, by=many_key_changes)


def not_me() -> str:
    """The sentence that says what the link does, also to API keys."""
    sentence: str = _(
        "If it was not you, use the link within 7 days: it signs all devices out, ends all API "
        "keys, and sends you another link to set a new password."
    )
    return sentence
