"""The values of one-time codes (RFC 6238): SHA-1, six digits, a new one every 30 seconds."""

import hmac
from datetime import datetime
from io import BytesIO
from urllib.parse import urlsplit

import pyotp
import segno

from app.auth.mfa.settings import MfaSettings
from config import settings

SECONDS = 30


def new_secret() -> str:
    """160 random bits in base32, as RFC 4226 §4 recommends."""
    return pyotp.random_base32()


def step_at(instant: datetime) -> int:
    """The number of the time step (RFC 6238 §4.2)."""
    return int(instant.timestamp()) // SECONDS


def matching_step(secret: str, code: str, now: datetime) -> int | None:
    """The time step that the code belongs to: this one, or the one before. ``None`` for neither.

    Both are always compared, so the time does not tell which one it was.
    """
    current = step_at(now)
    values = {step: pyotp.HOTP(secret).at(step) for step in (current, current - 1)}
    matches = [step for step, value in values.items() if hmac.compare_digest(value, code)]
    return max(matches, default=None)


def uri(secret: str, account: str) -> str:
    """What an authenticator app reads from the QR code."""
    return pyotp.TOTP(secret).provisioning_uri(name=account, issuer_name=issuer())


def issuer() -> str:
    given = settings.of(MfaSettings).totp_issuer
    return given or urlsplit(settings.public_url).hostname or ""


def qr_svg(uri: str) -> str:
    """The QR code as an SVG element, for a page as it is, and for a file or an ``img`` too."""
    code = segno.make(uri, error="m", micro=False)
    written = BytesIO()
    # Segno's own function for elements leaves the namespace out, and files need it.
    code.save(
        written, kind="svg", xmldecl=False, nl=False, scale=4, border=4, dark="#000", light="#fff"
    )
    return written.getvalue().decode()
