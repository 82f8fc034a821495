"""Whether pages offer passkeys, and what a browser is told about them."""

import json
from typing import Any

from jinja2 import Environment

from app import features
from app.auth.mfa import tickets
from app.auth.passkeys import ceremonies, keys, options, proving
from app.auth.passkeys.ceremonies import Purpose
from app.auth.passkeys.settings import are_on, relying_party
from app.errors import NotFound
from app.models import User
from app.pages.sign_in import ticket


def add_to_templates(environment: Environment) -> None:
    environment.globals.update(
        are_passkeys_offered=are_offered,
        begun_second_step=_begun_second_step,
        accepted_passkeys=_accepted,
    )


def are_offered() -> bool:
    """Whether the feature is there, and switched on."""
    return any(feature.name == "passkeys" for feature in features.active()) and are_on()


def refuse_while_off() -> None:
    """Without passkeys none of these pages is there."""
    if not are_offered():
        raise NotFound


def unknown(credential: dict[str, Any]) -> str:
    """What tells a browser that nobody has this passkey. Empty if somebody has it."""
    if not proving.is_unknown(credential):
        return ""
    return json.dumps({"rpId": relying_party().id, "credentialId": credential["id"]})


def _begun_second_step() -> dict[str, Any]:
    """Options for the login that waits. Scripts cannot read its ticket, so the page has them."""
    held = ticket.carried()
    waiting = tickets.find(held.mfa_token if held else "")
    ceremony = ceremonies.begin(Purpose.MFA, waiting.id)
    return options.for_user(ceremony, keys.usable(waiting.user_id))


def _accepted(user: User) -> str:
    accepted = keys.accepted(user.id)
    return json.dumps(accepted) if accepted else ""
