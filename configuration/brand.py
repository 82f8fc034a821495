"""The settings that give the product its name and its looks, on pages and in mails.

The brand color needs a contrast of 4.5 with the background (WCAG 2.2, 1.4.3), so
that it can be the color of text, and of a button with text in the color of the
background.
"""

import re
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from configuration.logo import Logo, brand_logo
from configuration.mail import is_sender_name, mail_address
from configuration.refusals import Wrong
from configuration.table import variable
from configuration.values import folder, list_of

LEAST_CONTRAST = 4.5
WHITE = "#ffffff"
# In the dark, pages and mails show the brand color on this color or a darker one.
DARK = "#18181b"
DEFAULT_COLOR = "#1d4ed8"
MOST_CHARACTERS = 50


def brand_name(text: str) -> str:
    """It is also the name of the sender of mails, so the rules are those of ``MAIL_FROM``."""
    name = text.strip()
    if not name or len(name) > MOST_CHARACTERS or not is_sender_name(name):
        raise Wrong(
            f"is {text!r}, which is empty, longer than {MOST_CHARACTERS} characters, or has an @, "
            "a control character or an encoded word (=?…?=). Write the name as people know it."
        )
    return name


def brand_color(text: str) -> str:
    """The color as ``#rrggbb``."""
    if not text:
        return DEFAULT_COLOR
    digits = text.removeprefix("#").lower()
    if re.fullmatch(r"[0-9a-f]{3}", digits):
        digits = "".join(digit * 2 for digit in digits)
    if not re.fullmatch(r"[0-9a-f]{6}", digits):
        raise Wrong(f"is {text!r}, which is not a color. Write one like {DEFAULT_COLOR}.")
    color = f"#{digits}"
    ratio = contrast(color, WHITE)
    if ratio < LEAST_CONTRAST:
        # It is rounded down, so that 4.499 is not shown as 4.50.
        raise Wrong(
            f"is {text!r}, whose contrast with white is {int(ratio * 100) / 100:.2f}. Text needs "
            f"at least {LEAST_CONTRAST}. Write a darker color."
        )
    return color


def support_email(text: str) -> str:
    try:
        return mail_address(text) if text else ""
    except ValueError:
        raise Wrong(
            f"is {text!r}, which is not an address. Write one like help@example.com."
        ) from None


def security_contact(text: str) -> str:
    """An address, or an https or tel URI (RFC 9116 §2.5.3). An address becomes a mailto URI."""
    if re.fullmatch(r"https://[!-~]+|tel:\+[0-9-]{3,30}", text):
        return text
    try:
        return f"mailto:{mail_address(text.removeprefix('mailto:'))}"
    except ValueError:
        raise Wrong(
            f"has {text!r}, which is neither an address nor a URI. Write one like "
            "security@example.com, https://example.com/security or tel:+1-201-555-0123."
        ) from None


@dataclass(frozen=True)
class Brand:
    """What pages and mails show of the product."""

    name: str
    logo: Logo | None
    # Empty if there is none.
    support_email: str
    color: str
    color_in_the_dark: str
    # The color of text on a button of the brand color.
    text: str = WHITE
    text_in_the_dark: str = DARK


@dataclass(frozen=True, kw_only=True)
class BrandSettings:
    """A part of ``Settings``."""

    brand_name: str = variable("BRAND_NAME", "User System", brand_name)
    brand_logo: Logo | None = variable("BRAND_LOGO", "", brand_logo)
    brand_color: str = variable("BRAND_COLOR", "", brand_color)
    support_email: str = variable("SUPPORT_EMAIL", "", support_email)
    security_contact: list[str] = variable("SECURITY_CONTACT", "", list_of(security_contact))
    templates_dir: Path | None = variable("TEMPLATES_DIR", "", folder)

    @property
    def brand(self) -> Brand:
        return Brand(
            name=self.brand_name,
            logo=self.brand_logo,
            support_email=self.support_email,
            color=self.brand_color,
            color_in_the_dark=lightened(self.brand_color),
        )


@lru_cache
def lightened(color: str) -> str:
    """The color with as much white as it needs to be read on a dark background."""
    for percent in range(101):
        mixed = [round(part + (255 - part) * percent / 100) for part in bytes.fromhex(color[1:])]
        lighter = "#" + bytes(mixed).hex()
        if contrast(lighter, DARK) >= LEAST_CONTRAST:
            break
    return lighter


def contrast(one: str, other: str) -> float:
    """The contrast ratio of two colors, from 1 to 21, as WCAG 2.2 defines it."""
    darker, lighter = sorted((_luminance(one), _luminance(other)))
    return (lighter + 0.05) / (darker + 0.05)


def _luminance(color: str) -> float:
    red, green, blue = (_linear(part / 255) for part in bytes.fromhex(color[1:]))
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def _linear(part: float) -> float:
    return part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4
