"""The settings of providers, and what stops the start."""

import re
from pathlib import Path

import pytest

from app import create_app, read_settings
from app.auth.providers import discovery
from app.auth.providers.settings import ProviderSettings
from config import SettingsRefused
from tests.conftest import ENVIRONMENT
from tests.test_docs import read_page

ACME = {
    "OIDC_PROVIDERS": "acme",
    "OIDC_ACME_ISSUER": "https://id.acme.example",
    "OIDC_ACME_CLIENT_ID": "our-client",
    "OIDC_ACME_CLIENT_SECRET": "s3cret",
}


def test_a_provider_is_read_from_its_variables(tmp_path: Path) -> None:
    given = {"OIDC_ACME_DOMAINS": "Acme.example, bücher.example", "OIDC_ACME_LABEL": "Acme & Co"}

    read = read_settings(ENVIRONMENT | ACME | given, instance=tmp_path)
    settings = read.of(ProviderSettings)

    acme = settings.providers["acme"]
    # `flask settings show` shows these.
    assert read.dynamic["OIDC_ACME_LABEL"] == "Acme & Co"
    assert acme.domains == ("acme.example", "xn--bcher-kva.example")
    assert (acme.label, acme.scope, acme.links_verified) == (
        "Acme & Co",
        "openid email profile",
        False,
    )
    assert "s3cret" not in repr(settings.providers)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"OIDC_PROVIDERS": "acme,acme"}, "twice"),
        ({"OIDC_PROVIDERS": "Acme"}, "not a name"),
        ({"OIDC_PROVIDERS": "a" * 21}, "not a name"),
        ({"OIDC_PROVIDERS": "password"}, "another way to log in"),
        ({"OIDC_ACME_ISSUER": ""}, "OIDC_ACME_ISSUER is missing"),
        ({"OIDC_ACME_CLIENT_ID": ""}, "OIDC_ACME_CLIENT_ID is missing"),
        ({"OIDC_ACME_CLIENT_SECRET": ""}, "OIDC_ACME_CLIENT_SECRET is missing. Set"),
        ({"OIDC_ACME_CLIENT_KEY": __file__}, "OIDC_ACME_CLIENT_SECRET is set, and"),
        ({"OIDC_ACME_ISSUER": f"https://a.example{discovery.PATH}"}, "the address of a document"),
        ({"OIDC_ACME_CLIENT_KEY_ID": "K"}, "needs OIDC_ACME_CLIENT_KEY_ID"),
        ({"OIDC_ACME_ISSUER": "http://id.acme.example"}, "not https"),
        ({"OIDC_ACME_ISSUER": "http://10.1.2.3", "OUTBOUND_ALLOW": "10.9.0.0/16"}, "not https"),
        ({"OIDC_ACME_ISSUER": "https://id.acme.example/?a"}, "not the issuer"),
        ({"OIDC_ACME_ISSUER": "https://id.acme.example/" + "a" * 232}, "256 characters"),
        ({"OIDC_ACME_SCOPE": "email"}, "openid among them"),
        ({"OIDC_ACME_DOMAINS": ".acme.example"}, "not the domain"),
        ({"GITHUB_CLIENT_ID": "id"}, "GITHUB_CLIENT_SECRET is missing"),
        ({"GITHUB_CLIENT_SECRET": "x"}, "GITHUB_CLIENT_ID is missing"),
    ],
)
def test_what_is_wrong_stops_the_start(
    tmp_path: Path, changes: dict[str, str], sentence: str
) -> None:
    with pytest.raises(SettingsRefused) as refused:
        create_app(read_settings(ENVIRONMENT | ACME | changes, instance=tmp_path))

    assert sentence in str(refused.value)
    assert "s3cret" not in str(refused.value)


def test_each_variable_of_a_provider_is_in_providers_md_and_no_other(tmp_path: Path) -> None:
    of_page = set(re.findall(r"`(OIDC_ACME_[A-Z_]+)`", read_page("docs/providers.md")))

    assert of_page == {*read_settings(ENVIRONMENT | ACME, instance=tmp_path).dynamic}


@pytest.mark.parametrize("names", ["", "acme"])
def test_a_provider_that_nobody_named_is_a_warning(tmp_path: Path, names: str) -> None:
    forgotten = {"OIDC_GOOGLE_ISSUER": "https://accounts.google.com", "OIDC_PROVIDERS": names}

    warnings = read_settings(ENVIRONMENT | ACME | forgotten, instance=tmp_path).warnings

    assert [each for each in warnings if "GOOGLE" in each] == [
        "`OIDC_GOOGLE_ISSUER` is not used, because OIDC_PROVIDERS does not name google."
    ]


def test_an_issuer_without_tls_may_be_in_an_allowed_network(tmp_path: Path) -> None:
    inner = {"OIDC_ACME_ISSUER": "http://10.1.2.3:8080/realms/a", "OUTBOUND_ALLOW": "10.1.2.0/24"}

    assert create_app(read_settings(ENVIRONMENT | ACME | inner, instance=tmp_path))


def test_a_name_with_github_is_a_double(tmp_path: Path) -> None:
    github = {"GITHUB_CLIENT_ID": "id", "GITHUB_CLIENT_SECRET": "x", "OIDC_PROVIDERS": "github"}
    variables = {name.replace("ACME", "GITHUB"): value for name, value in ACME.items()}

    with pytest.raises(SettingsRefused, match="has github"):
        read_settings(ENVIRONMENT | variables | github, instance=tmp_path)
