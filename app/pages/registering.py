"""Which pages the application has."""

import logging

from flask import Flask

from app.pages import (
    assets,
    entrances,
    error_pages,
    language_switch,
    mailed_links,
    page,
)
from app.pages.account import password, profile
from app.pages.sign_in import login, logout
from config import Settings
from configuration.hosts import is_secure

log = logging.getLogger(__name__)

# PAGES=false turns these off.
PAGES = (
    entrances.bp,
    language_switch.bp,
    login.bp,
    logout.bp,
    profile.bp,
    password.bp,
)


def init_app(app: Flask, settings: Settings) -> None:
    page.init_app(app)
    assets.init_app(app, settings)
    error_pages.init_app(app)
    app.register_blueprint(mailed_links.bp)
    for each in PAGES if settings.pages else ():
        app.register_blueprint(each)


def announce(settings: Settings) -> None:
    """Log at the start if nobody can log in on the pages."""
    if settings.pages and not is_secure(settings.public_url):
        log.warning(
            "PUBLIC_URL is http and not this machine, so browsers keep no cookies of the pages, "
            "and nobody can log in there. Serve them by https, or set PAGES=false."
        )
