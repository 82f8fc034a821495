"""What a mail says, before it is a mail."""

from dataclasses import dataclass

from config import settings


@dataclass(frozen=True)
class Content:
    """One mail: a subject, paragraphs, and perhaps a button.

    ``template`` names the two files that make the mail of it, without ``.txt``
    and ``.html``.
    """

    subject: str
    paragraphs: tuple[str, ...]
    label: str | None = None
    link: str | None = None
    template: str = "mail"


def link(page: str, token: str) -> str:
    """Return the address of a link. No server and no log sees the fragment with the token."""
    return f"{settings.public_url}/account/{page}#token={token}"
