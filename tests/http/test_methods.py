"""HEAD and OPTIONS, on every route."""

from collections import defaultdict
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.routing import Rule
from werkzeug.test import TestResponse

from app.models import User
from app.pages import notices
from tests.factories import bearer, log_in, make_role

ID = "0b6f3a52-8f8e-4c6b-9a55-5a3f4f0f8a11"
VALUES: dict[str, Any] = {"uuid": ID, "path": "swagger-ui.css", "default": "verify-email"}


def path_of(app: Flask, rule: Rule, numbers: dict[str, int]) -> str:
    values = {
        name: numbers.get(name, 1)
        if type(converter).__name__ == "Digits"
        else VALUES["uuid" if "UUID" in type(converter).__name__ else "default"]
        for name, converter in rule._converters.items()
    }
    if rule.rule.startswith("/docs/assets/"):
        values = {"name": VALUES["path"]}
    with app.test_request_context():
        return str(app.url_map.bind("localhost").build(rule.endpoint, values))


def test_options_names_the_methods_of_each_path_and_asks_for_nothing(
    app: Flask, client: FlaskClient, statements: list[str]
) -> None:
    methods = defaultdict[str, set[str]](set)
    paths = {}
    for rule in app.url_map.iter_rules():
        methods[rule.rule] |= rule.methods or set()
        paths[rule.rule] = path_of(app, rule, {})
    statements.clear()

    for rule_text, path in paths.items():
        answer = client.options(path)
        assert answer.status_code == 200, rule_text
        allowed = set(answer.headers["Allow"].split(", "))
        assert allowed >= methods[rule_text] | {"OPTIONS"}, rule_text
        assert ("HEAD" in allowed) == ("GET" in allowed), rule_text
        assert answer.data == b""
        assert "WWW-Authenticate" not in answer.headers
    assert statements == []
    assert len(paths) > 60


def test_what_options_does_not_name_is_not_allowed(app: Flask, client: FlaskClient) -> None:
    for rule in app.url_map.iter_rules():
        path = path_of(app, rule, {})
        allowed = client.options(path).headers["Allow"]
        other = next(m for m in ("DELETE", "PATCH", "PUT", "POST") if m not in allowed.split(", "))
        answer = client.open(path, method=other)
        assert answer.status_code in (403, 405), (rule.rule, other)
        if answer.status_code == 405:
            assert answer.headers["Allow"] == allowed


@pytest.mark.parametrize("who", ["nobody", "the superuser"])
def test_head_has_the_headers_of_get_and_no_body(
    app: Flask, client: FlaskClient, grace: User, who: str
) -> None:
    numbers = {"user_id": grace.id, "role_id": make_role(app, "readers").id}
    token = log_in(client, grace)["access_token"]
    headers = {"X-Request-ID": "the-same"} | (bearer(token) if who != "nobody" else {})

    for rule in app.url_map.iter_rules():
        if "GET" in (rule.methods or ()):
            path = path_of(app, rule, numbers)
            # The page before may have left a notice, which only the first of the two would show.
            client.delete_cookie(notices.COOKIE)
            get = client.get(path, headers=headers, buffered=True)
            client.delete_cookie(notices.COOKIE)
            head = client.head(path, headers=headers, buffered=True)
            assert head.data == b"", rule.rule
            assert head.status_code == get.status_code, rule.rule
            assert lasting(head) == lasting(get), rule.rule


def lasting(answer: TestResponse) -> dict[str, str]:
    """The headers but those that tell the time, or hold something random."""
    moving = {"Date", "Set-Cookie"}
    # The measures change with each call.
    moving |= {"Content-Length"} if answer.request.path == "/metrics" else set()
    return {name: value for name, value in answer.headers if name not in moving}
