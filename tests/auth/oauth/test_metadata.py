"""``/.well-known/oauth-authorization-server`` (RFC 8414)."""

from collections.abc import Callable

import pytest
from flask import Flask
from flask.testing import FlaskClient

from app.models import User
from tests.factories import claims_of, log_in, problem


@pytest.fixture
def document(client: FlaskClient) -> dict[str, str]:
    answer = client.get("/.well-known/oauth-authorization-server")
    assert answer.mimetype == "application/json"
    found: dict[str, str] = answer.json
    return found


def test_the_issuer_is_that_of_the_tokens(
    client: FlaskClient, ada: User, document: dict[str, str]
) -> None:
    assert claims_of(log_in(client, ada)["access_token"])["iss"] == document["issuer"]


def test_each_endpoint_is_there(client: FlaskClient, document: dict[str, str]) -> None:
    for name in ("token_endpoint", "revocation_endpoint", "jwks_uri"):
        path = document[name].removeprefix(document["issuer"])
        assert client.options(path).status_code == 200, name


def test_each_grant_is_known_to_the_token_endpoint_and_no_other(
    client: FlaskClient, document: dict[str, str]
) -> None:
    path = document["token_endpoint"].removeprefix(document["issuer"])

    for grant in document["grant_types_supported"]:
        assert problem(client.post(path, data={"grant_type": grant})) == (400, "invalid_request")
    unknown = client.post(path, data={"grant_type": "client_credentials"})
    assert problem(unknown) == (400, "unsupported_grant_type")


def test_a_grant_is_gone_with_its_feature(
    make_app: Callable[..., Flask], monkeypatch: pytest.MonkeyPatch
) -> None:
    app = make_app()
    app.extensions["features"] = ()

    document = app.test_client().get("/.well-known/oauth-authorization-server").json

    assert document["grant_types_supported"] == ["password", "refresh_token"]
