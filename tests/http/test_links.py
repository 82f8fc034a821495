"""``Link`` beside a cursor, on every list that has one."""

import re

from flask import Flask
from flask.testing import FlaskClient

from app.models import User
from tests.factories import API, bearer, log_in, make_role, make_user


def next_page(link: str) -> str:
    found = re.fullmatch(r'<([^>]+)>; rel="next"', link)
    assert found, link
    return found[1]


def test_a_client_can_follow_the_links_alone(app: Flask, client: FlaskClient, grace: User) -> None:
    for number in range(4):
        make_user(app, username=f"zoë&{number}", email=f"zoe{number}@example.com")
    headers = bearer(log_in(client, grace)["access_token"])
    path, names = f"{API}/users?q=zo%C3%AB%26&sort=username&limit=3", []

    while path:
        answer = client.get(path, headers=headers)
        names += [user["username"] for user in answer.json["items"]]
        assert ("Link" in answer.headers) == (answer.json["next_cursor"] is not None)
        path = next_page(answer.headers["Link"]) if "Link" in answer.headers else ""

    assert names == [f"zoë&{number}" for number in range(4)]


def test_every_list_with_a_cursor_has_a_link(app: Flask, client: FlaskClient, grace: User) -> None:
    for number in range(2):
        make_role(app, f"role-{number}")
    log_in(client, grace)
    headers = bearer(log_in(client, grace)["access_token"])
    paths = client.get("/openapi.json").json["paths"]
    lists = [
        path.replace("{user_id}", str(grace.id))
        for path, calls in paths.items()
        if "Link" in calls.get("get", {}).get("responses", {}).get("200", {}).get("headers", {})
    ]
    make_user(app, username="ada", email="ada@example.com")

    for path in lists:
        answer = client.get(path, query_string={"limit": "1"}, headers=headers)
        following = client.get(next_page(answer.headers["Link"]), headers=headers)
        assert following.status_code == 200, path
        assert following.json["items"] != answer.json["items"]

    assert len(lists) >= 5
