"""What security notices have in common: the circumstances, and what to do."""

from typing import TypedDict

from flask_babel import gettext as _

from app.mail.content import Content, link
from app.mail.messages import reasons

Facts = tuple[tuple[str, str], ...]


class Occasion(TypedDict):
    """What every notice is given: the token of its link, and where the request came from."""

    token: str
    when: str
    ip: str
    device: str


def notice(
    subject: str, sentence: str, occasion: Occasion, *, not_me: str | None = None
) -> Content:
    """A security notice: what happened, when, from where, and what to do (800-63B-4 §4.6).

    ``not_me`` says what the link does, where that is more than usual.
    """
    return Content(
        subject,
        (sentence, not_me or _not_me()),
        _("This was not me"),
        link("not-me", occasion["token"]),
        facts=circumstances(occasion),
        reason=reasons.account_security(),
    )


def summary(
    subject: str, sentence: str, occasion: Occasion, *, not_me: str | None = None
) -> Content:
    """The last mail after several notices of a kind, because more of them would only disturb."""
    return Content(
        subject,
        (sentence, no_more(), not_me or _not_me()),
        _("This was not me"),
        link("not-me", occasion["token"]),
        facts=last_circumstances(occasion),
        reason=reasons.account_security(),
    )


def circumstances(occasion: Occasion) -> Facts:
    return ((_("When"), occasion["when"]), *_origin(occasion))


def last_circumstances(occasion: Occasion) -> Facts:
    return ((_("Last time"), occasion["when"]), *_origin(occasion))


def no_more() -> str:
    sentence: str = _("We will not send another mail about this for an hour.")
    return sentence


def _origin(occasion: Occasion) -> Facts:
    return (
        (_("Device"), occasion["device"] or _("unknown")),
        (_("IP address"), occasion["ip"] or _("unknown")),
    )


def _not_me() -> str:
    sentence: str = _(
        "If it was not you, use the link within 7 days: it signs all devices out and sends you "
        "another link to set a new password."
    )
    return sentence
