"""Where password managers send people to add and to manage passkeys (W3C passkey endpoints)."""

from typing import Any

from flask import Blueprint

from app.auth.passkeys.settings import are_on
from app.errors import NotFound
from config import settings

bp = Blueprint("passkey_endpoints", __name__)


@bp.get("/.well-known/passkey-endpoints")
def passkey_endpoints() -> dict[str, Any]:
    """Both lead to one page of the account."""
    if not are_on():
        raise NotFound
    page = f"{settings.public_url}/account/security"
    return {"enroll": page, "manage": page}
