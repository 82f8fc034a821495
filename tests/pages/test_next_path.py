"""Where people go on: always a page of ours."""

from urllib.parse import urljoin, urlsplit

import pytest
from flask import Flask

from app.models import User
from app.pages import next_path
from tests.cases import each
from tests.factories import PASSWORD
from tests.pages.person import SITE, Person

HOSTILE = [
    *("", " ", "evil.example", "account", "./account", "../account", "?next=/", "#top"),
    *("http://evil.example", "https://evil.example/account", "HTTPS://evil.example"),
    *("//evil.example", "///evil.example", "////evil.example/account", "//localhost/account"),
    *("/\\evil.example", "\\/evil.example", "\\\\evil.example", "/\\/evil.example", "/a\\b"),
    *("/\t/evil.example", "/\n/evil.example", "/\r/evil.example", "\t//evil.example"),
    *(" /account", "/account ", "/acc ount", "/\x00", "/a\x00b", "/\x0b/evil.example", "/\x7f"),
    *("/%09/evil.example", "/%0a/evil.example", "/%0d%0aSet-Cookie:%20a=b", "/%00", "/%7f"),
    *("/%2fevil.example", "/%2Fevil.example", "/%5cevil.example", "/a%5Cb", "/%c2%85", "/%C2%9f"),
    *("javascript:alert(1)", "JavaScript:alert(1)", "data:text/html,x", "vbscript:x", "blob:x"),
    *("mailto:a@evil.example", "file:///etc/passwd", "about:blank", "ws://evil.example"),
    *("http:evil.example", "http:/evil.example", "https:/\\evil.example", "//user@evil.example"),
    *("//[::1]", "//evil.example:443", "/é", "/\u2028", "/\u202e", "／／evil.example", "/。evil"),
    *("\ufeff/account", "/\ud800".encode("utf-8", "surrogatepass").decode("utf-8", "replace")),
    *("/" + "a" * 500, "//" + "a" * 600, "/account\r\nLocation: //evil.example"),
]
FRIENDLY = [
    *("/", "/account", "/account/devices?page=2", "/account/a%20b", "/a//b", "/a#b", "/%252f"),
    *("/.", "/..", "/account?next=https://evil.example", "/a:b@c", "/~", "/%ff", "/" + "a" * 499),
]


def test_the_table_has_sixty_hostile_values() -> None:
    assert len(set(HOSTILE)) >= 60


@each("sent", HOSTILE)
def test_a_hostile_value_leads_to_the_account(sent: str) -> None:
    assert next_path.of_ours(sent) == "/account"


@each("sent", FRIENDLY)
def test_a_path_of_ours_is_kept(sent: str) -> None:
    assert next_path.of_ours(sent) == sent
    assert urlsplit(urljoin(SITE, sent)).netloc == "localhost"


@pytest.mark.parametrize("page", ["/account/login", "/account/language"])
def test_no_page_sends_anybody_to_another_site(app: Flask, ada: User, page: str) -> None:
    person = Person(app)
    form = person.open("/account/login")
    typed = {"username": "ada", "password": PASSWORD, "locale": "en"}
    names = ("username", "password") if page == "/account/login" else ("locale",)
    sent = {name: typed[name] for name in names} | {"csrf_token": form.form().fields["csrf_token"]}

    for hostile in HOSTILE:
        answer = person.ask("POST", page, data=sent | {"next": hostile})

        if answer.status_code == 422:
            # NUL and lone surrogates are refused in every field.
            assert "\x00" in hostile
            continue
        assert answer.status_code == 303, hostile
        assert answer.headers["Location"] == "/account", hostile


def test_a_page_that_needs_a_login_comes_back_after_it(visitor: Person, ada: User) -> None:
    page = visitor.open("/account/password?from=mail")

    answer = visitor.send(page, username="ada", password=PASSWORD)

    assert answer.status == 303
    assert answer.answer.headers["Location"] == "/account/password?from=mail"


def test_a_form_that_needs_a_login_comes_back_as_a_page(ada_at_home: Person) -> None:
    page = ada_at_home.open("/account/password")
    ada_at_home.client.delete_cookie("__Host-session")

    answer = ada_at_home.send(page, current_password=PASSWORD, new_password="another long one")

    # The token of the form belonged to the session that is gone.
    assert answer.status == 403
    assert "/account/password" in answer.links
