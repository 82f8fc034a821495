"""The settings of passkeys."""

from dataclasses import dataclass
from urllib.parse import urlsplit

from flask import Flask, current_app

from config import Settings, SettingsRefused, settings
from configuration.hosts import host, is_secure, origin
from configuration.table import variable
from configuration.values import list_of, one_of


def _host_or_nothing(text: str) -> str:
    return host(text) if text else ""


@dataclass(frozen=True, kw_only=True)
class PasskeySettings:
    # Browsers offer passkeys on https and on this machine alone, so `auto` means there.
    passkeys: str = variable("PASSKEYS", "auto", one_of("auto", "true", "false"))
    rp_id: str = variable("WEBAUTHN_RP_ID", "", _host_or_nothing)
    origins: list[str] = variable("WEBAUTHN_ORIGINS", "", list_of(origin))


@dataclass(frozen=True)
class RelyingParty:
    """The server, as WebAuthn sees it: the domain of its keys, and the origins of its pages."""

    id: str
    origins: list[str]


def are_on() -> bool:
    given = settings.of(PasskeySettings).passkeys
    return given == "true" or (given == "auto" and is_secure(settings.public_url))


def relying_party() -> RelyingParty:
    return _relying_party(current_app.config["SETTINGS"])


def check(app: Flask) -> None:
    """Raises ``SettingsRefused`` if the domain does not belong to the origins."""
    party = _relying_party(app.config["SETTINGS"])
    for each in party.origins:
        name = urlsplit(each).hostname or ""
        if name != party.id and not name.endswith(f".{party.id}"):
            raise SettingsRefused(
                f"WEBAUTHN_RP_ID is {party.id}, to which {each} does not belong. Write the host of "
                "every origin of WEBAUTHN_ORIGINS, or a domain above all of them."
            )


def _relying_party(settings: Settings) -> RelyingParty:
    given, url = settings.of(PasskeySettings), urlsplit(settings.public_url)
    return RelyingParty(
        given.rp_id or url.hostname or "",
        # As browsers write it: in lower case, without the usual port.
        given.origins or [origin(f"{url.scheme}://{url.netloc}")],
    )
