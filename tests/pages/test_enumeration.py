"""The pages do not tell whether there is an account: their answers are the same, byte for byte.

``benchmarks/timing.py`` compares their times.
"""

import re
from collections.abc import Callable
from itertools import pairwise

from flask import Flask

from app.models import User
from tests.cases import each
from tests.factories import PASSWORD, make_user
from tests.pages.person import Page, Person

KNOWN, UNKNOWN = "ada@example.com", "eve@example.com"


def shape(answer: Page, typed: dict[str, str]) -> tuple[int, str, list[tuple[str, str]]]:
    """The answer without what is of each request: its number, the hidden token, what was typed."""
    html = re.sub(r'name="csrf_token" value="[^"]+"', "", answer.html)
    for text in typed.values():
        html = html.replace(f'value="{text}"', "")
    headers = [
        (name, re.sub(r"^\d+$|Expires=[^;]+", "", text))
        for name, text in answer.answer.headers.items()
        if name != "X-Request-ID"
    ]
    return answer.status, html, headers


@each(
    ("path", "typed"),
    [
        ("/account/login", [{"username": KNOWN}, {"username": UNKNOWN}, {"username": "off"}]),
        # Ada's address is confirmed, and Bob's is not.
        ("/account/forgot", [{"email": KNOWN}, {"email": UNKNOWN}, {"email": "off@example.com"}]),
        (
            "/account/verify-email/new-link",
            [{"email": KNOWN}, {"email": UNKNOWN}, {"email": "bob@example.com"}],
        ),
        ("/account/reset-password/new-link", [{"email": KNOWN}, {"email": UNKNOWN}]),
        (
            "/account/register",
            [
                {"email": KNOWN, "username": "carol", "password": PASSWORD},
                {"email": UNKNOWN, "username": "eve", "password": PASSWORD},
            ],
        ),
    ],
)
def test_an_answer_does_not_tell_whether_there_is_an_account(
    app: Flask,
    visitor: Person,
    ada: User,
    set_settings: Callable[..., None],
    path: str,
    typed: list[dict[str, str]],
) -> None:
    set_settings(hide_account_existence=True)
    if path == "/account/login":
        make_user(app, username="off", email="off@example.com", active=False)
        make_user(app, username="bob", email="bob@example.com")
        typed = [{**one, "password": "a wrong one"} for one in typed]
    page = visitor.open(path)

    shapes = [shape(visitor.send(page, **one), one) for one in typed]

    for one, other in pairwise(shapes):
        assert one == other
