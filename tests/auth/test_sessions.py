"""POST /auth/refresh"""

from datetime import timedelta

import pytest
import time_machine
from flask.testing import FlaskClient

from app import clock
from app.models import User
from tests.factories import API, bearer, log_in, me, problem, refresh


def test_returns_a_new_pair_that_works(client: FlaskClient, ada: User) -> None:
    pair = log_in(client, ada)

    response = refresh(client, pair["refresh_token"])

    assert response.status_code == 200
    assert response.json["refresh_token"] != pair["refresh_token"]
    assert me(client, response.json["access_token"]).status_code == 200


def test_the_token_just_superseded_gets_the_same_successor(client: FlaskClient, ada: User) -> None:
    pair = log_in(client, ada)
    first = refresh(client, pair["refresh_token"]).json

    again = refresh(client, pair["refresh_token"])

    assert again.status_code == 200
    assert again.json["refresh_token"] == first["refresh_token"]
    assert me(client, again.json["access_token"]).status_code == 200


def test_after_the_window_it_ends_the_session_for_both_holders(
    client: FlaskClient, ada: User
) -> None:
    pair = log_in(client, ada)
    new = refresh(client, pair["refresh_token"]).json

    with time_machine.travel(clock.now() + timedelta(seconds=11)):
        replay = refresh(client, pair["refresh_token"])

    assert problem(replay) == (401, "refresh_token_reused")
    assert problem(refresh(client, new["refresh_token"])) == (401, "invalid_refresh_token")
    assert problem(me(client, new["access_token"])) == (401, "session_ended")
