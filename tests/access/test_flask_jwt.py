"""Flask-JWT-Extended in somebody's own blueprint, beside an application that does without it"""

from collections.abc import Callable
from typing import Any

import flask_jwt_extended
import jwt
import pytest
from flask import Blueprint, Flask
from flask.testing import FlaskClient
from flask_jwt_extended import create_access_token, jwt_required
from werkzeug.test import TestResponse

from app.models import User
from tests.factories import API, bearer, claims_of, log_in, me, problem

own = Blueprint("own", __name__)


def seen() -> dict[str, Any]:
    return {
        "claims": flask_jwt_extended.get_jwt(),
        "identity": flask_jwt_extended.get_jwt_identity(),
        "header": flask_jwt_extended.get_jwt_header(),
        "username": flask_jwt_extended.current_user.username,
    }


own.add_url_rule("/own/access", "access", jwt_required()(seen))
own.add_url_rule("/own/refresh", "refresh", jwt_required(refresh=True)(seen))
own.add_url_rule("/own/any", "any", jwt_required(verify_type=False)(seen))
own.add_url_rule("/own/optional", "optional", jwt_required(optional=True)(dict))


def add_own(app: Flask) -> None:
    app.register_blueprint(own)


@pytest.fixture
def other(make_app: Callable[..., Flask]) -> Flask:
    return make_app(add=add_own)


@pytest.fixture
def client(other: Flask) -> FlaskClient:
    return other.test_client()


def visit(client: FlaskClient, token: str, path: str = "/own/access") -> TestResponse:
    return client.get(path, headers=bearer(token))


def test_a_route_of_jwt_required_sees_the_token_and_its_user(
    client: FlaskClient, ada: User
) -> None:
    token = log_in(client, ada)["access_token"]

    response = visit(client, token)

    assert response.json == {
        "claims": claims_of(token),
        "identity": str(ada.id),
        "header": jwt.get_unverified_header(token),
        "username": "ada",
    }


@pytest.mark.parametrize("path", ["/own/access", "/own/refresh", "/own/any"])
def test_a_refresh_token_is_good_for_refreshing_alone(
    client: FlaskClient, ada: User, path: str
) -> None:
    token = log_in(client, ada)["refresh_token"]

    response = visit(client, token, path)

    assert problem(response) == (401, "invalid_token")


def test_a_route_of_jwt_required_refuses_an_ended_session(client: FlaskClient, ada: User) -> None:
    token = log_in(client, ada)["access_token"]
    client.post(f"{API}/auth/logout", headers=bearer(token))

    assert problem(visit(client, token)) == (401, "session_ended")


def test_an_optional_token_may_be_missing_but_not_invalid(client: FlaskClient) -> None:
    assert client.get("/own/optional").json == {}
    assert problem(visit(client, "a.b.c", "/own/optional")) == (401, "invalid_token")


@pytest.mark.parametrize("claim", ["type", "jti", "exp", "sid", "iss"])
def test_a_route_of_jwt_required_reads_a_token_by_our_rules(
    other: Flask, client: FlaskClient, ada: User, claim: str
) -> None:
    """The library itself takes a token without ``type``, ``jti`` or ``exp``."""
    claims = claims_of(log_in(client, ada)["access_token"])
    assert visit(client, jwt.encode(claims, other.config["SECRET_KEY"])).status_code == 200
    del claims[claim]

    response = visit(client, jwt.encode(claims, other.config["SECRET_KEY"]))

    assert problem(response) == (401, "invalid_token")


def test_a_token_of_the_library_has_no_session_and_is_refused(
    other: Flask, client: FlaskClient, ada: User
) -> None:
    with other.app_context():
        token = create_access_token(ada.id)

    assert claims_of(token)["sub"] == str(ada.id)
    assert problem(visit(client, token)) == (401, "invalid_token")
    assert problem(me(client, token)) == (401, "invalid_token")


def test_a_token_of_the_library_for_a_live_session_is_accepted(
    other: Flask, client: FlaskClient, ada: User
) -> None:
    session_id = claims_of(log_in(client, ada)["access_token"])["sid"]
    with other.app_context():
        token = create_access_token(ada.id, additional_claims={"sid": session_id})

    assert visit(client, token).json["username"] == "ada"
    assert me(client, token).status_code == 200


def test_a_route_of_jwt_required_demands_a_second_factor_where_the_settings_do(
    make_app: Callable[..., Flask], ada: User
) -> None:
    strict = make_app(add=add_own, MFA_REQUIRED="all")
    token = log_in(strict.test_client(), ada)["access_token"]

    response = visit(strict.test_client(), token)

    assert problem(response) == (403, "mfa_enrollment_required")
