"""Which pages the application has."""

import logging
import os
import tempfile
from collections.abc import Collection, Iterator

from flask import Flask
from jinja2 import FileSystemBytecodeCache

from app.http import templates
from app.pages import (
    assets,
    entrances,
    error_pages,
    language_switch,
    page,
)
from app.pages.account import activity, delete, devices, email, export, password, profile
from app.pages.admin import (
    actions,
    audit,
    entrance,
    factors,
    invitation,
    mail,
    person,
    roles,
    roles_of_person,
    sections,
    selection,
    system,
    users,
)
from app.pages.admin import keys as keys_of_others
from app.pages.admin import menu as admin_menu
from app.pages.api_keys import account as keys
from app.pages.mailed_links import asking, opening
from app.pages.page import Pages
from app.pages.passkeys import account as passkeys
from app.pages.passkeys import login as passkey_login
from app.pages.providers import account as identities
from app.pages.providers import begin, callback, confirm, new_account, offering
from app.pages.security import overview, recovery_codes, remembered_devices, totp
from app.pages.sign_in import forgot, login, logout, reauthenticate, register, second_step
from config import Settings
from configuration.hosts import is_secure

log = logging.getLogger(__name__)

# PAGES=false turns these off.
PAGES = (
    entrances.bp,
    language_switch.bp,
    login.bp,
    logout.bp,
    forgot.bp,
    reauthenticate.bp,
    profile.bp,
    password.bp,
    email.bp,
    devices.bp,
    activity.bp,
    export.bp,
    delete.bp,
    entrance.bp,
    users.bp,
    selection.bp,
    invitation.bp,
    person.bp,
    actions.bp,
    roles_of_person.bp,
    mail.bp,
    system.bp,
    roles.bp,
    audit.bp,
)

# The pages of the optional features, by the names of these. To take a feature out, remove its line
# here, and the files that the line needs.
PAGES_OF_FEATURES = {
    "mfa": (overview.bp, second_step.bp, factors.bp),
    "totp": (totp.bp,),
    "recovery_codes": (recovery_codes.bp,),
    "remembered_devices": (remembered_devices.bp,),
    "passkeys": (passkeys.bp, passkey_login.bp),
    "providers": (begin.bp, callback.bp, confirm.bp, new_account.bp, identities.bp),
    "api_keys": (keys.bp, keys_of_others.bp),
}

# Their parts of the page of an account, in this order.
SECTIONS_OF_FEATURES = {
    "mfa": factors.SECTION,
    "providers": offering.SECTION,
    "api_keys": keys_of_others.SECTION,
}


def init_app(
    app: Flask, settings: Settings, features: Collection[str], *, glance: system.Look
) -> None:
    """``features`` has the names of the features that the application has.

    ``glance`` looks at the deployment, for the page about the system.
    """
    page.init_app(app)
    system.init_app(app, glance)
    app.jinja_env.globals.update(shows_administration=admin_menu.is_shown)
    sections.init_app(
        app, [each for name, each in SECTIONS_OF_FEATURES.items() if name in features]
    )
    assets.init_app(app, settings)
    error_pages.init_app(app)
    # Mails are sent without the other pages, too.
    app.register_blueprint(opening.bp)
    app.register_blueprint(asking.bp)
    for each in _pages(features) if settings.pages else ():
        app.register_blueprint(each)
    if settings.pages and settings.pages_registration:
        app.register_blueprint(register.bp)


def _pages(features: Collection[str]) -> Iterator[Pages]:
    yield from PAGES
    for feature, pages in PAGES_OF_FEATURES.items():
        if feature in features:
            yield from pages


def prepare(app: Flask) -> None:
    """Compile the templates before the workers start, so that they share the memory of that.

    Compiling takes much more memory than the compiled templates, and what it leaves scattered the
    workers would copy. So a child process compiles, and this one loads what the child wrote.
    ``benchmarks/README.md`` has the figures.
    """
    if not app.config["SETTINGS"].pages:
        return
    with tempfile.TemporaryDirectory() as folder:
        app.jinja_env.bytecode_cache = FileSystemBytecodeCache(folder)
        if (child := os.fork()) == 0:
            try:
                _load_templates(app)
            finally:
                os._exit(0)
        os.waitpid(child, 0)
        # If the child failed, this compiles them.
        _load_templates(app)
        app.jinja_env.bytecode_cache = None


def _load_templates(app: Flask) -> None:
    for folder in templates.FOLDERS:
        for path in folder.rglob("*.html"):
            app.jinja_env.get_template(path.relative_to(folder).as_posix())


def announce(settings: Settings) -> None:
    """Log at the start if nobody can log in on the pages."""
    if settings.pages and not is_secure(settings.public_url):
        log.warning(
            "PUBLIC_URL is http and not this machine, so browsers keep no cookies of the pages, "
            "and nobody can log in there. Serve them by https, or set PAGES=false."
        )
