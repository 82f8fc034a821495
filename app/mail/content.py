"""What a mail says, before it is a mail."""

from dataclasses import dataclass

from config import settings


@dataclass(frozen=True)
class Content:
    """One mail: a subject, paragraphs, facts, and perhaps a button.

    ``template`` names the two files that make the mail of it, without ``.txt``
    and ``.html``.
    """

    subject: str
    paragraphs: tuple[str, ...]
    label: str | None = None
    link: str | None = None
    template: str = "mail"
    # Names and values, shown after the first paragraph, like ("Device", "Chrome on Windows").
    facts: tuple[tuple[str, str], ...] = ()
    # The sentence at the end that says why the reader gets this mail.
    reason: str = ""
    # What a list of mails shows beside the subject. By default it is the values of the facts, or
    # the first paragraph where there are none.
    preheader: str = ""
    # Set when the mail is delivered: its language, and what comes before the address for help.
    language: str = "en"
    contact: str = ""


def link(page: str, token: str) -> str:
    """Return the address of a link. No server and no log sees the fragment with the token."""
    return f"{settings.public_url}/account/{page}#token={token}"
