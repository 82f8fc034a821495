"""The pages of passkeys. What the script of the pages sends is written by hand here."""

import json
from collections.abc import Iterator

from tests.auth.passkeys.authenticator import Authenticator
from tests.auth.passkeys.browser import options
from tests.pages.scenes.visit import Scene, Visit

PATH = "/account/security/passkeys"


def unknown_passkey(visit: Visit) -> Iterator[str]:
    begun = options(visit.app.test_client(), "passkeys/login-options")
    key = visit.passkey(visit.account())
    proof = json.dumps(key.get(begun["options"]) | {"id": "AAAA", "rawId": "AAAA"})
    visit.open("/account/login")
    visit.send("/account/login/passkey", ceremony=begun["ceremony"], credential=proof)
    yield "refused"


def new_passkey(visit: Visit) -> Iterator[str]:
    visit.sign_in()
    visit.open(f"{PATH}/new")
    yield "empty"
    visit.send(f"{PATH}/new", ceremony="x", credential="{}", name="")
    yield "refused"
    begun = options(visit.client, "passkeys/options")
    made = json.dumps(Authenticator(origin=visit.origin).create(begun["options"]))
    visit.open(f"{PATH}/new")
    visit.send(f"{PATH}/new", ceremony=begun["ceremony"], credential=made, name="Laptop")
    yield "done"


def passkey(visit: Visit) -> Iterator[str]:
    user = visit.account()
    for _ in range(2):
        visit.passkey(user)
    visit.sign_in(user)
    visit.open("/account/security")
    yield "empty"
    path = visit.find(f"{PATH}/*-*")
    visit.open(path)
    yield "empty"
    visit.send(path, name="x" * 101)
    yield "refused"
    visit.send(path, name="Desk")
    yield "done"
    visit.open(path)
    visit.send(f"{path}/remove")
    yield "done"


SCENES: tuple[Scene, ...] = (unknown_passkey, new_passkey, passkey)
