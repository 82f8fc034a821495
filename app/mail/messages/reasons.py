"""Why somebody gets a mail. Each mail ends with one of these sentences."""

from flask_babel import gettext as _

from config import settings


def address_entered() -> str:
    sentence: str = _(
        "You get this mail because somebody entered your email address at %(product)s.",
        product=settings.brand_name,
    )
    return sentence


def account_security() -> str:
    sentence: str = _(
        "You get this mail because it is about the security of your account at %(product)s.",
        product=settings.brand_name,
    )
    return sentence
