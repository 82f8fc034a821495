"""Every page of the server, in each of its states.

A scene takes somebody through the states of some pages, and yields the name of
each state: ``empty`` as it opens, ``refused``, ``done`` or ``forbidden``. What looks at all
pages walks through all scenes: ``tests/pages/test_every_page.py`` with the test
client, ``tests/browser/test_every_page.py`` in Chromium. A page that no scene
shows fails there.
"""

from tests.pages.scenes import (
    account,
    admin,
    api_keys,
    errors,
    passkeys,
    providers,
    security,
    sign_in,
)
from tests.pages.scenes.visit import Scene

EVERY = [
    scene
    for module in (sign_in, account, security, passkeys, providers, api_keys, admin, errors)
    for scene in module.SCENES
]
SCENES: dict[str, Scene] = {scene.__name__: scene for scene in EVERY}
assert len(SCENES) == len(EVERY), "Two scenes have one name."

# Acme answers in the process of the tests, and a browser asks a server of its own.
# tests/browser/test_providers.py goes these ways with providers that are servers, too.
IN_PROCESS = frozenset(scene.__name__ for scene in providers.SCENES)
