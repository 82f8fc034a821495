"""The settings of providers: whose accounts people may sign in with.

``OIDC_PROVIDERS`` names the providers, and the other variables of each have its
name in theirs: ``OIDC_ACME_ISSUER``. GitHub does not speak OpenID Connect for
people, so it has variables of its own.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar
from urllib.parse import urlsplit

from flask import Flask

from app.http import addresses
from config import Settings, SettingsRefused, settings
from configuration.hosts import host
from configuration.refusals import Wrong
from configuration.table import Reading, variable
from configuration.values import boolean, file, list_of, one_of

T = TypeVar("T")

NAME = re.compile(r"[a-z][a-z0-9]{0,19}")
# A session says how it began: by one of these, or by a provider's name.
TAKEN_NAMES = ("password", "passkey")
ISSUER = re.compile(
    r"https?://([A-Za-z0-9.-]+|\[[0-9A-Fa-f:.]+\])(:[0-9]{1,5})?(/[A-Za-z0-9._~/-]*)?"
)

# As many characters as the columns have that hold it.
LONGEST_ISSUER = 255

# A variable that each provider has. The words before it name the provider.
OF_A_PROVIDER = re.compile(r"OIDC_([A-Z][A-Z0-9]{0,19})_ISSUER")

GITHUB = "github"
APPLE_ISSUER = "https://appleid.apple.com"
# What people call providers whose names they know.
LABELS = {"github": "GitHub", "gitlab": "GitLab", "linkedin": "LinkedIn"}


def provider_name(text: str) -> str:
    if not NAME.fullmatch(text):
        raise Wrong(
            f"has {text!r}, which is not a name for a provider. Write at most 20 lower-case "
            "letters and digits, with a letter first, like google."
        )
    if text in TAKEN_NAMES:
        raise Wrong(
            f"has {text!r}, which is another way to log in. Give the provider another name."
        )
    return text


def provider_names(text: str) -> list[str]:
    names = list_of(provider_name)(text)
    for name in names:
        if names.count(name) > 1:
            raise Wrong(f"has {name!r} twice. Name each provider once.")
    return names


def issuer(text: str) -> str:
    """The issuer as the provider writes it: a slash at its end makes it another one."""
    try:
        has_port = urlsplit(text).port != 0
    except ValueError:
        has_port = False
    if text and not (ISSUER.fullmatch(text) and has_port):
        raise Wrong(
            f"is {text!r}, which is not the issuer of a provider. Write its https URL, exactly as "
            "the provider's /.well-known/openid-configuration has it, like "
            "https://accounts.google.com."
        )
    if len(text) > LONGEST_ISSUER:
        raise Wrong(
            f"has {len(text)} characters. The issuer of a provider may have {LONGEST_ISSUER}."
        )
    if "/.well-known/" in text:
        raise Wrong(
            f"is {text!r}, which is the address of a document. Write the issuer that stands in the "
            "document; most often that is the address before /.well-known."
        )
    return text


def domain(text: str) -> str:
    name = host(text)
    if name.startswith((".", "[")) or ":" in name:
        raise Wrong(
            f"has {text!r}, which is not the domain of addresses. Write one like example.com."
        )
    return name


def scope(text: str) -> str:
    words = text.split()
    if "openid" not in words or not re.fullmatch(r"[!#-\[\]-~ ]+", text):
        raise Wrong(f"is {text!r}. Write words with spaces between them, and openid among them.")
    return " ".join(words)


def label(text: str) -> str:
    if not text.isprintable() or len(text) > 40:
        raise Wrong(f"is {text!r}, which does not fit on a button. Write at most 40 characters.")
    return text


def visible(text: str) -> str:
    """An id or a secret. The message never repeats the value, because it may be the secret."""
    if not re.fullmatch(r"[!-~]{0,512}", text):
        raise Wrong("has a space or a character that is not ASCII, or is too long. Copy it again.")
    return text


@dataclass(frozen=True, kw_only=True)
class ClientKey:
    """The key with which Apple wants its clients to sign, in the place of a secret."""

    file: Path
    key_id: str
    team_id: str


@dataclass(frozen=True, kw_only=True)
class Provider:
    """Whose accounts people may sign in with, and what this server is there.

    ``domains`` are those whose addresses the provider is believed to know.
    ``audiences`` are further client ids: those of our own native applications.
    """

    name: str
    label: str
    issuer: str
    client_id: str
    client_secret: str = field(default="", repr=False)
    client_key: ClientKey | None = None
    scope: str = ""
    domains: tuple[str, ...] = ()
    links_verified: bool = False
    audiences: tuple[str, ...] = ()
    answers_by_form: bool = False
    # It does not speak OpenID Connect.
    is_github: bool = False

    @property
    def callback(self) -> str:
        """Where the provider sends people back to. Each provider has its own."""
        return f"{settings.public_url}/account/with/{self.name}/callback"

    @property
    def can_ask_again(self) -> bool:
        """Whether it can be asked to let somebody prove again who they are."""
        return not self.is_github


@dataclass(frozen=True, kw_only=True)
class ProviderSettings:
    names: list[str] = variable("OIDC_PROVIDERS", "", provider_names)
    github_client_id: str = variable("GITHUB_CLIENT_ID", "", visible)
    github_client_secret: str = variable("GITHUB_CLIENT_SECRET", "", visible)
    # ``check`` fills it in, because the names of these variables are known only then.
    providers: dict[str, Provider] = field(default_factory=dict)

    def check(self, reading: Reading) -> None:
        for name in self.names:
            self.providers[name] = _read(reading, name)
        for given in reading.environment:
            found = OF_A_PROVIDER.fullmatch(given)
            if found and (name := found[1].lower()) not in self.names:
                reading.warn(given, f"is not used, because OIDC_PROVIDERS does not name {name}.")
        if bool(self.github_client_id) != bool(self.github_client_secret):
            missing = "GITHUB_CLIENT_SECRET" if self.github_client_id else "GITHUB_CLIENT_ID"
            reading.refuse(missing, "is missing. Set both, as GitHub shows them, or neither.")
        elif self.github_client_id and GITHUB in self.providers:
            reading.refuse(
                "OIDC_PROVIDERS",
                "has github, which GITHUB_CLIENT_ID sets up already. Remove one of the two.",
            )
        elif self.github_client_id:
            self.providers[GITHUB] = Provider(
                name=GITHUB,
                label=LABELS[GITHUB],
                issuer="https://github.com",
                client_id=self.github_client_id,
                client_secret=self.github_client_secret,
                is_github=True,
            )


def check(app: Flask) -> None:
    """Raises ``SettingsRefused`` for providers that would be called without TLS."""
    given: Settings = app.config["SETTINGS"]
    if reasons := list(_without_tls(given, given.of(ProviderSettings).providers)):
        raise SettingsRefused(*reasons)


def providers() -> Mapping[str, Provider]:
    """The providers by their names, in the order in which pages show them."""
    return settings.of(ProviderSettings).providers


def _read(reading: Reading, name: str) -> Provider:
    prefix = f"OIDC_{name.upper()}_"

    def given(variable: str, default: str, parse: Callable[[str], T]) -> T:
        return reading.read_one(f"the provider {name}", prefix + variable, default, parse)

    issuer_of_provider = given("ISSUER", "", issuer)
    by_default = "form_post" if issuer_of_provider == APPLE_ISSUER else "query"
    provider = Provider(
        name=name,
        label=given("LABEL", LABELS.get(name, name.capitalize()), label),
        issuer=issuer_of_provider,
        client_id=given("CLIENT_ID", "", visible),
        client_secret=given("CLIENT_SECRET", "", visible),
        client_key=_client_key(reading, prefix, given("CLIENT_KEY", "", file)),
        scope=given("SCOPE", "openid email profile", scope),
        domains=tuple(given("DOMAINS", "", list_of(domain))),
        links_verified=given("LINK_VERIFIED", "false", boolean),
        audiences=tuple(given("AUDIENCES", "", list_of(visible))),
        answers_by_form=given("RESPONSE_MODE", by_default, one_of("query", "form_post"))
        == "form_post",
    )
    for missing in ("ISSUER", "CLIENT_ID"):
        if not reading.is_set(prefix + missing):
            reading.refuse(prefix + missing, f"is missing, and OIDC_PROVIDERS has {name}. Set it.")
    has_key = reading.is_set(f"{prefix}CLIENT_KEY")
    if provider.client_secret and has_key:
        reading.refuse(
            f"{prefix}CLIENT_SECRET", f"is set, and {prefix}CLIENT_KEY is set too. Remove one."
        )
    elif not provider.client_secret and not has_key:
        reading.refuse(
            f"{prefix}CLIENT_SECRET",
            "is missing. Set the secret that the provider shows. For Apple, set "
            f"{prefix}CLIENT_KEY in its place.",
        )
    return provider


def _client_key(reading: Reading, prefix: str, path: Path | None) -> ClientKey | None:
    def given(variable: str) -> str:
        return reading.read_one("a provider with a key", prefix + variable, "", visible)

    key_id, team_id = given("CLIENT_KEY_ID"), given("TEAM_ID")
    if path is None and not key_id and not team_id:
        return None
    if path is None or not key_id or not team_id:
        reading.refuse(
            f"{prefix}CLIENT_KEY",
            f"needs {prefix}CLIENT_KEY_ID and {prefix}TEAM_ID, and these need it. Set all three, "
            "as Apple shows them, or none.",
        )
        return None
    return ClientKey(file=path, key_id=key_id, team_id=team_id)


def _without_tls(given: Settings, providers: Mapping[str, Provider]) -> Iterator[str]:
    for provider in providers.values():
        if provider.issuer.startswith("http://") and not _is_allowed(given, provider.issuer):
            yield (
                f"OIDC_{provider.name.upper()}_ISSUER is {provider.issuer}, which is not https. "
                "Write an https URL, or name the provider's network in OUTBOUND_ALLOW."
            )


def _is_allowed(given: Settings, issuer: str) -> bool:
    """Whether the issuer may be in a network that was allowed. Names are looked up at each call."""
    address = addresses.parse(urlsplit(issuer).hostname or "")
    if address is None:
        return bool(given.outbound_allow)
    return any(address in network for network in given.outbound_allow)
