"""What security notices have in common: the circumstances, and what to do."""

from flask_babel import gettext as _

from app.mail.content import Content, link


def notice(
    subject: str,
    sentence: str,
    token: str,
    when: str,
    ip: str,
    device: str,
    *,
    not_me: str | None = None,
) -> Content:
    """A security notice: what happened, when, from where, and what to do (800-63B-4 §4.6).

    ``not_me`` says what the link does, where that is more than usual.
    """
    return Content(
        subject,
        (
            sentence,
            where(when, ip, device),
            not_me or _not_me(),
        ),
        _("This was not me"),
        link("not-me", token),
    )


def summary(
    subject: str,
    sentence: str,
    token: str,
    when: str,
    ip: str,
    device: str,
    *,
    not_me: str | None = None,
) -> Content:
    """The last mail after several notices of a kind, because more of them would only disturb."""
    return Content(
        subject,
        (
            sentence,
            where_last(when, ip, device),
            _("We will not send another mail about this for an hour."),
            not_me or _not_me(),
        ),
        _("This was not me"),
        link("not-me", token),
    )


def where(when: str, ip: str, device: str) -> str:
    sentence: str = _(
        "When: %(when)s. From: %(ip)s. Device: %(device)s.",
        when=when,
        ip=ip or _("unknown"),
        device=device or _("unknown"),
    )
    return sentence


def where_last(when: str, ip: str, device: str) -> str:
    sentence: str = _(
        "The last time: %(when)s. From: %(ip)s. Device: %(device)s.",
        when=when,
        ip=ip or _("unknown"),
        device=device or _("unknown"),
    )
    return sentence


def _not_me() -> str:
    sentence: str = _(
        "If it was not you, use the link within 7 days: it signs all devices out and sends you "
        "another link to set a new password."
    )
    return sentence
