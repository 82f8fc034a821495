"""``/.well-known/security.txt``: whom to tell about a weakness (RFC 9116)."""

from datetime import timedelta

from flask import Response

from app import clock
from app.errors import NotFound
from app.http.blueprint import Blueprint, refuses
from app.http.languages import LOCALES
from config import settings

bp = Blueprint("security_txt", __name__, description="For people who find a weakness.")

# The RFC recommends less than a year. The text is made anew for each request, so it expires only
# for those who keep a copy.
LIFETIME = timedelta(days=180)


@bp.get("/.well-known/security.txt")
@refuses(NotFound)
@bp.returns(200, {"type": "string"}, content_type="text/plain")
def security_txt() -> Response:
    """Whom to tell about a weakness. It is there if `SECURITY_CONTACT` is set."""
    if not settings.security_contact:
        raise NotFound
    expires = (clock.now() + LIFETIME).replace(hour=0, minute=0, second=0, microsecond=0)
    lines = [
        *(f"Contact: {contact}" for contact in settings.security_contact),
        f"Expires: {expires:%Y-%m-%dT%H:%M:%SZ}",
        f"Preferred-Languages: {', '.join(LOCALES)}",
        f"Canonical: {settings.public_url}/.well-known/security.txt",
    ]
    text = "".join(f"{line}\n" for line in lines)
    return Response(text, content_type="text/plain; charset=utf-8")
