"""Why somebody gets a mail. Each mail ends with one of these sentences."""

from flask_babel import gettext as _

from config import settings


def address_entered() -> str:
    sentence: str = _(
        "You get this mail because somebody gave %(product)s your email address.",
        product=settings.brand_name,
    )
    return sentence


def account_security() -> str:
    sentence: str = _(
        "You get this mail because it is about the security of your %(product)s account.",
        product=settings.brand_name,
    )
    return sentence
