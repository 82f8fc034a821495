"""What holds for every page in every state. The scenes show them, and none may be missing."""

import inspect
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import wraps
from html.parser import HTMLParser
from itertools import product

import pytest
from flask import Flask

from tests.pages.person import Page
from tests.pages.routes import page_routes
from tests.pages.scenes import SCENES
from tests.pages.scenes.visit import Scene, Visit
from tests.tampering import empty_everything

# What a page looks like does not depend on the database.
pytestmark = pytest.mark.postgresql

# These have no page of their own, or need no form of ours.
WITHOUT_A_PAGE = {"GET /account/assets/<name>"}
VOID = ("area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "wbr")


class Elements(HTMLParser):
    """The elements of a page with their attributes, and its texts."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str]]] = []
        self.texts: set[str] = set()
        self._open: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attributes}
        self.found.append((tag, given))
        if tag not in VOID:
            self._open.append(tag)
        spoken = ("aria-label", "title", "placeholder", "alt", "data-busy")
        self.texts |= {given[name] for name in spoken if given.get(name)}

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag, f"</{tag}> closes another element"

    def handle_data(self, data: str) -> None:
        if "code" not in self._open:
            self.texts.add(" ".join(data.split()))

    def all(self, tag: str) -> list[dict[str, str]]:
        return [given for name, given in self.found if name == tag]


@dataclass(frozen=True)
class Shown:
    """What a browser shows in one state of a scene."""

    scene: str
    state: str
    locale: str
    page: Page
    elements: Elements

    def __str__(self) -> str:
        return f"{self.scene}, {self.state}: {self.page.path} in {self.locale}"


class Tour:
    """All scenes in both languages."""

    def __init__(self, app: Flask) -> None:
        self.shown: list[Shown] = []
        self.used: set[str] = set()
        for locale, (name, scene) in product(("en", "zh"), SCENES.items()):
            visit = Visit(app, locale)
            for state in shown_by(scene, visit):
                page = visit.page
                self.shown.append(Shown(name, state, locale, page, Elements(page.html)))
            self.used |= visit.used


def shown_by(scene: Scene, visit: Visit) -> Iterator[str]:
    """The states of a scene. One that stops says which page it did not expect."""
    try:
        yield from scene(visit)
    except Exception as failure:
        failure.add_note(f"{scene.__name__} stops at {visit.page.path}: {visit.page.text}")
        raise


@pytest.fixture(scope="module")
def tour(session_app: Flask) -> Iterator[Tour]:
    yield Tour(session_app)
    with session_app.app_context():
        empty_everything()


def each_state(check: Callable[[Shown], None]) -> Callable[[Tour], None]:
    """The check of one state, as a test of all of them."""

    @wraps(check)
    def every_state(tour: Tour) -> None:
        wrong = []
        for shown in tour.shown:
            try:
                check(shown)
            except AssertionError as failure:
                wrong.append(f"{shown}\n{failure}")
        assert not wrong, "\n\n".join(wrong)

    every_state.__signature__ = inspect.signature(lambda tour: None)  # type: ignore[attr-defined]
    return every_state


def test_each_page_is_in_a_scene(app: Flask, tour: Tour) -> None:
    routes = {f"{method} {rule}" for method, rule in page_routes(app)}

    assert routes - tour.used == WITHOUT_A_PAGE


@each_state
def test_a_state_is_what_it_is_called(shown: Shown) -> None:
    page = shown.page
    statuses = {
        "empty": (200, 404),
        "refused": (422, 403, 400),
        "done": (200,),
        "forbidden": (403,),
    }
    assert page.status in statuses[shown.state], page.text
    if page.status == 422:
        assert page.summary
        assert re.match("Error: |错误: ", page.title), page.title


@each_state
def test_each_answer_has_the_headers_of_pages(shown: Shown) -> None:
    headers = shown.page.answer.headers
    assert headers["Cache-Control"] == "no-store"
    assert headers["Vary"] == "Cookie, Accept-Language"
    assert headers["Referrer-Policy"] == "same-origin"
    assert headers["X-Content-Type-Options"] == "nosniff"
    [policy] = headers.getlist("Content-Security-Policy")
    assert "unsafe" not in policy
    wanted = {"default-src 'none'", "form-action 'self'", "frame-ancestors 'none'"}
    assert wanted <= set(policy.split("; "))


@each_state
def test_each_page_has_its_language_one_heading_and_the_name_of_the_product(shown: Shown) -> None:
    elements = shown.elements
    [root], [_], [_] = (elements.all(tag) for tag in ("html", "title", "h1"))
    assert root["lang"] == {"en": "en", "zh": "zh-Hans"}[shown.locale]
    assert re.fullmatch(".+ – User System", shown.page.title), shown.page.title
    assert shown.page.heading


@each_state
def test_no_script_and_no_style_is_in_a_page(shown: Shown) -> None:
    assert not shown.elements.all("style")
    assert all(script.get("src") for script in shown.elements.all("script"))
    for tag, given in shown.elements.found:
        assert not [name for name in given if name == "style" or name.startswith("on")], tag


@each_state
def test_each_form_and_each_link_leads_to_us(shown: Shown) -> None:
    for form in shown.elements.all("form"):
        assert form["method"] in ("get", "post")
        assert re.match(r"/(account|admin)(/|$)", form["action"])
    for link in shown.elements.all("a"):
        # The provider of the scenes is the one place outside.
        outside = r"https://id\.acme\.example/authorize\?"
        ours = r"/(account|admin)([/?]|$)|#|otpauth:|data:text/plain"
        assert re.match(f"{ours}|{outside}", link["href"])


@each_state
def test_each_reference_within_a_page_finds_its_element(shown: Shown) -> None:
    elements = shown.elements.found
    ids = [given["id"] for _, given in elements if "id" in given]
    assert len(ids) == len(set(ids)), ids
    for tag, given in elements:
        for name in ("aria-describedby", "aria-controls", "for", "form"):
            assert set(given.get(name, "").split()) <= set(ids), (tag, name, given[name])


def test_each_text_is_in_the_language_of_its_page(tour: Tour) -> None:
    texts: dict[str, set[str]] = {"en": set(), "zh": set()}
    for shown in tour.shown:
        texts[shown.locale] |= shown.elements.texts

    both = texts["en"] & texts["zh"]

    sentences = {text for text in both if re.search(r"[a-z]{2,} +[a-z]{2,}", text, re.I)}
    assert sentences <= {"User System", "Werkzeug – User System"}
