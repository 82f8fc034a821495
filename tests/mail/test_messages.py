"""What the mails say, in which language, and where their links lead."""

import ast
import inspect
import io
import re
from collections.abc import Callable, Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from babel.messages.catalog import Catalog
from babel.messages.extract import extract_from_dir
from babel.messages.mofile import read_mo, write_mo
from babel.messages.pofile import read_po
from flask import Flask
from flask.testing import FlaskClient

from app import OPTIONAL, errors
from app.access import permissions
from app.access.permissions import OF_CORE
from app.auth.mfa.messages import factors_reset
from app.doctor.findings import CHECKS
from app.errors import AppError
from app.extensions import db
from app.mail import messages
from app.mail.content import Content
from app.models import User
from app.pages import error_pages, menu, notices
from app.pages import words as page_words
from app.pages.account import devices, event_sentences
from app.pages.admin import audit as admin_audit
from app.pages.admin import event_sentences as admin_event_sentences
from app.pages.admin import findings, system
from app.pages.admin import menu as admin_menu
from app.pages.mailed_links.kinds import KINDS
from tests.factories import API, PASSWORD, problem, refused_fields
from tests.mail.letters import Letter, arguments_of, deliver, queue
from tests.servers import ROOT

Letters = Callable[[], list[Letter]]

CATALOGUES = ROOT / "app" / "translations" / "zh" / "LC_MESSAGES"

MESSAGES = [
    function
    for name, function in vars(messages).items()
    if inspect.isfunction(function)
    and not name.startswith("_")
    and function.__annotations__.get("return") is Content
] + [
    mail
    for feature in OPTIONAL
    for mail in feature.mails
    if mail.__annotations__.get("return") is Content
]
ALLOWED_TAGS = {"html", "head", "meta", "title", "style", "body", "div"} | {
    *("table", "tr", "th", "td", "h1", "p", "a")
}
WITHOUT_A_LINK = {"address_in_use", "keys_end_soon"}
# It would be the device of an administrator.
WITHOUT_A_DEVICE = {"factors_reset"}

# What strangers choose: the name of a device is a header of theirs.
HOSTILE = '<a href="https://evil.example/">click</a> {{7*7}} %(token)s {% raw %}'
CONTEXT = {
    "token": "the-Token_of-this-mail",
    "minutes": 30,
    "new_email": "o'brien&co@example.com",
    "when": "2026-11-22 08:00 UTC",
    "ip": "2001:db8::1",
    "device": HOSTILE,
    "due": "2026-12-06",
    "factor": "passkey",
    "provider": "Acme",
    "left": 3,
    "added": "2026-11-20",
    "key": "us_4fQz…x9Kd",
    "keys": "us_4fQz…x9Kd\nus_7aBc…y2Lm",
    "until": "2026-12-04 08:00 UTC\n2026-12-05 08:00 UTC",
    "inviter": "Grace",
    "inviter_email": "grace@example.com",
}

each_message = pytest.mark.parametrize("message", MESSAGES, ids=lambda message: message.__name__)
each_language = pytest.mark.parametrize("locale", ["en", "zh"])


def context_of(message: Callable[..., Content]) -> dict[str, Any]:
    return {name: CONTEXT[name] for name in arguments_of(message)}


@pytest.fixture
def letter_of(app: Flask, ada: User, letters: Letters) -> Callable[..., Letter]:
    """Deliver one mail to Ada, and read it."""

    def send(message: Callable[..., Content], locale: str = "en", **context: Any) -> Letter:
        ada.locale = locale
        queue(app, message, to=ada.email, user=ada, **context_of(message) | context)
        deliver(app)
        (letter,) = letters()
        return letter

    return send


class Page(HTMLParser):
    """What of an HTML part a reader sees, and where its links lead."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.links: list[str | None] = []
        self.elements: list[Any] = []
        self.text = ""
        self.hidden: list[str] = []
        self.feed(html)

    @property
    def tags(self) -> set[str]:
        return {tag for tag, _ in self.elements}

    @property
    def tags_and_styles(self) -> list[Any]:
        """The elements with their attributes, without the links."""
        return [(tag, [one for one in given if one[0] != "href"]) for tag, given in self.elements]

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, attributes))
        if tag == "a":
            self.links.append(dict(attributes)["href"])

    def handle_data(self, data: str) -> None:
        _, attributes = self.elements[-1] if self.elements else ("", [])
        if ("display:none" in (dict(attributes).get("style") or "")) and data.strip():
            self.hidden.append(data)
        else:
            self.text += data


def is_chinese(text: str) -> bool:
    return any("\u4e00" <= character <= "\u9fff" for character in text)


# Every mail


def test_every_kind_of_mail_is_looked_at() -> None:
    assert len(MESSAGES) >= 25


@each_message
@each_language
def test_a_mail_is_in_the_language_of_its_reader(
    letter_of: Callable[..., Letter], message: Callable[..., Content], locale: str
) -> None:
    letter = letter_of(message, locale)

    texts = [letter.headers["Subject"], letter.text, Page(letter.html).text]
    assert {is_chinese(text) for text in texts} == {locale == "zh"}


@each_message
@each_language
def test_both_parts_of_a_mail_lead_to_the_same_place(
    letter_of: Callable[..., Letter], message: Callable[..., Content], locale: str
) -> None:
    letter = letter_of(message, locale)

    if message.__name__ in WITHOUT_A_LINK:
        assert Page(letter.html).links == []
        assert "http" not in letter.text
        return
    expected = letter.text[letter.text.index("http://localhost:8000/account/") :].split()[0]
    assert expected.endswith(f"#token={CONTEXT['token']}")
    assert Page(letter.html).links == [expected]
    assert letter.text.count(str(CONTEXT["token"])) == 1
    # Once more to read, for mail programs that show no links.
    assert Page(letter.html).text.count(expected) == 1


@each_message
def test_a_link_leads_to_a_page_that_there_is(
    letter_of: Callable[..., Letter], message: Callable[..., Content], client: FlaskClient
) -> None:
    letter = letter_of(message)

    for link in Page(letter.html).links:
        assert link is not None
        path = link.removeprefix("http://localhost:8000").partition("#")[0]
        assert client.get(path, buffered=True).status_code == 200


@each_message
@each_language
def test_what_strangers_choose_stays_text(
    letter_of: Callable[..., Letter], message: Callable[..., Content], locale: str
) -> None:
    letter = letter_of(message, locale)

    page = Page(letter.html)
    assert page.tags <= ALLOWED_TAGS
    assert not any("evil.example" in (link or "") for link in page.links)
    if "device" in context_of(message) and message.__name__ not in WITHOUT_A_DEVICE:
        assert HOSTILE in page.text
        assert HOSTILE in letter.text
        assert "{{7*7}}" in letter.html
        assert '<a href="https://evil.example' not in letter.html


def test_an_address_is_shown_as_it_is(letter_of: Callable[..., Letter]) -> None:
    letter = letter_of(messages.email_change_asked)

    assert CONTEXT["new_email"] in letter.text
    assert CONTEXT["new_email"] in Page(letter.html).text


@pytest.mark.parametrize(
    ("message", "field"),
    [(messages.email_change_asked, "new_email"), (messages.invitation, "inviter_email")],
)
def test_no_sentence_fits_into_an_address_that_somebody_else_chose(
    letter_of: Callable[..., Letter], message: Callable[..., Content], field: str
) -> None:
    sentence = "your-account-is-locked-call-0800-123456-at-once"
    long = f"{sentence}@{sentence}.{sentence}.evil.example"

    letter = letter_of(message, **{field: long})

    assert f"{long[:59]}…" in letter.text
    assert long[:60] not in letter.text + letter.html + letter.headers["Subject"]


@each_language
def test_a_device_without_a_name_is_called_unknown(
    letter_of: Callable[..., Letter], locale: str
) -> None:
    letter = letter_of(messages.new_device, locale, ip="", device="")

    assert letter.text.count({"en": "unknown", "zh": "未知"}[locale]) == 2


@each_language
def test_a_reset_by_an_administrator_does_not_tell_where_the_administrator_is(
    letter_of: Callable[..., Letter], locale: str
) -> None:
    letter = letter_of(factors_reset, locale)

    assert CONTEXT["when"] in letter.text
    assert CONTEXT["ip"] not in letter.text + letter.html
    assert "evil.example" not in letter.text + letter.html


@each_message
def test_a_mail_loads_nothing_from_anywhere(
    letter_of: Callable[..., Letter], message: Callable[..., Content]
) -> None:
    letter = letter_of(message)

    assert not Page(letter.html).tags & {"img", "link", "script", "iframe"}
    assert not re.search(r"url\(|@import|src=|background=", letter.html)


# Whose language


def test_who_registers_is_written_to_in_the_language_of_the_browser(
    app: Flask, client: FlaskClient, letters: Letters
) -> None:
    account = {"email": "bob@example.com", "username": "bob", "password": PASSWORD}
    client.post(
        f"{API}/auth/register",
        json=account,
        headers={"Accept-Language": "fr, zh-CN;q=0.9, en;q=0.8"},
    )

    deliver(app)

    (letter,) = letters()
    assert is_chinese(letter.headers["Subject"])


def test_whoever_asks_a_mail_is_in_its_owners_language(
    app: Flask, client: FlaskClient, ada: User, letters: Letters
) -> None:
    with app.app_context():
        db.session.get_one(User, ada.id).locale = "zh"
        db.session.commit()
    client.post(
        f"{API}/auth/password/forgot", json={"email": ada.email}, headers={"Accept-Language": "en"}
    )

    deliver(app)

    (letter,) = letters()
    assert is_chinese(letter.headers["Subject"])


# Where links lead


@pytest.mark.parametrize(
    ("base", "headers"),
    [
        ("http://evil.example", {}),
        ("https://evil.example:444", {}),
        ("http://localhost", {"X-Forwarded-Host": "evil.example", "X-Forwarded-Proto": "https"}),
        ("http://localhost", {"Forwarded": "host=evil.example;proto=https"}),
        ("http://localhost", {"X-Original-URL": "/evil", "X-Forwarded-Prefix": "/evil"}),
        ("http://localhost", {"Origin": "https://evil.example", "Referer": "https://evil.example"}),
    ],
)
def test_links_begin_with_public_url_whatever_the_request_says(
    app: Flask,
    client: FlaskClient,
    ada: User,
    letters: Letters,
    set_settings: Callable[..., None],
    base: str,
    headers: dict[str, str],
) -> None:
    set_settings(public_url="https://accounts.example.com/base")

    client.post(
        f"{API}/auth/password/forgot", json={"email": ada.email}, base_url=base, headers=headers
    )
    deliver(app)

    (letter,) = letters()
    assert letter.link.startswith("https://accounts.example.com/base/account/reset-password#token=")
    assert "evil" not in letter.headers.as_string()


# Errors in two languages


@pytest.mark.parametrize(
    ("accepted", "chinese"),
    [
        ("zh", True),
        ("zh-Hant-TW", True),
        ("de, zh;q=0.5", True),
        ("en;q=0.4, zh;q=0.8", True),
        ("en, zh", False),
        ("zh;q=0, en", False),
        ("de", False),
        ("*", False),
        ("", False),
        ("zh;q=x, \xff;;,=", None),
    ],
)
def test_an_error_is_worded_in_the_language_that_is_asked_for(
    client: FlaskClient, accepted: str, chinese: bool | None
) -> None:
    response = client.get(f"{API}/users/me", headers={"Accept-Language": accepted})

    assert problem(response) == (401, "not_authenticated")
    if chinese is not None:
        assert is_chinese(response.json["detail"]) is chinese


def test_what_is_wrong_with_a_field_is_said_in_the_same_language(client: FlaskClient) -> None:
    account = {"email": "none", "username": "x", "password": "short", "surplus": 1}

    answers = [
        client.post(f"{API}/auth/register", json=account, headers={"Accept-Language": language})
        for language in ("en", "zh")
    ]

    english, chinese = ([e["detail"] for e in a.json["errors"]] for a in answers)
    assert refused_fields(answers[0]) == refused_fields(answers[1])
    assert not any(map(is_chinese, english))
    assert all(map(is_chinese, chinese))


# The catalogue


@pytest.fixture(scope="module")
def catalogue() -> Catalog:
    with (CATALOGUES / "messages.po").open("rb") as file:
        return read_po(file, locale="zh")


def words(catalogue: Catalog) -> dict[Any, Any]:
    # A sentence that counts has two forms.
    return {_forms(message.id): _forms(message.string) for message in catalogue if message.id}


def _forms(text: Any) -> str | tuple[str, ...]:
    return text if isinstance(text, str) else tuple(text)


def test_every_string_of_the_catalogue_is_translated(catalogue: Catalog) -> None:
    empty = [message.id for message in catalogue if message.id and not message.string]

    assert empty == []
    assert not [message.id for message in catalogue if message.id and message.fuzzy]


def test_translations_have_the_places_of_the_originals(catalogue: Catalog) -> None:
    wrong = [(message.id, list(map(str, found))) for message, found in catalogue.check()]

    assert wrong == []


def test_the_compiled_catalogue_is_the_written_one(catalogue: Catalog) -> None:
    compiled = io.BytesIO()
    write_mo(compiled, catalogue)
    compiled.seek(0)

    with (CATALOGUES / "messages.mo").open("rb") as file:
        shipped = read_mo(file)

    assert words(shipped) == words(read_mo(compiled))


def test_the_catalogue_holds_every_word_that_is_said_with_gettext(catalogue: Catalog) -> None:
    methods = [("**.py", "python"), ("**.html", "jinja2")]
    found = extract_from_dir(ROOT / "app", method_map=methods)
    missing = {message for _, _, message, *_ in found} - set(words(catalogue))

    assert missing == set()


def test_the_catalogue_holds_every_error_and_what_pages_say(catalogue: Catalog) -> None:
    details = {error.detail for error in subclasses(AppError) if hasattr(error, "detail")}
    templates = set(sentences_of("Message", 1))

    of_pages = {label for _, label in menu.ENTRIES} | set(notices.sentences())
    of_pages |= {*page_words.LABELS.values(), *page_words.SENTENCES.values()}
    of_pages |= {text for pair in error_pages.WORDS.values() for text in pair}
    of_pages |= event_sentences.every_sentence()
    of_pages |= {label for _, label, _ in admin_menu.PAGES}
    of_pages |= admin_event_sentences.every_sentence()
    of_pages |= {admin_event_sentences.OTHERWISE, admin_event_sentences.OTHERWISE_TO_SOMEBODY}
    of_pages |= set(admin_audit.FOUND.values())
    of_pages |= {one.description for feature in OPTIONAL for one in feature.permissions}
    of_pages |= {one.description for one in permissions.declared() if one.name in OF_CORE}
    of_pages |= {*devices.FIRST_PROOFS.values(), *devices.SECOND_PROOFS.values()}
    of_pages.add(devices.REMEMBERED)
    for kind in KINDS.values():
        of_pages |= {kind.title, kind.effect, kind.button, kind.otherwise}
    of_pages |= {*system.LIMITS.values(), *findings.WEIGHTS.values()}
    of_pages |= {*sentences_of("Reason", 0), *(check.remedy for check in CHECKS)}
    of_pages |= {check.remedy for feature in OPTIONAL for check in feature.checks}
    details |= of_pages | {errors.FreshTokenRequired.WITH_FACTOR}
    assert len(of_pages) > 20
    assert len(details) > 20
    assert len(templates) > 10
    assert (details | templates) - set(words(catalogue)) == set()


def test_the_catalogue_holds_nothing_that_is_not_said(catalogue: Catalog) -> None:
    source = "".join(
        value
        for file in sources()
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.Constant) and isinstance(value := node.value, str)
    )
    source += "".join(file.read_text() for file in (ROOT / "app").rglob("*.html"))

    forms = [[found] if isinstance(found, str) else found for found in words(catalogue)]
    assert [text for found in forms for text in found if text not in source] == []


def subclasses(kind: type[AppError]) -> Iterator[type[AppError]]:
    for subclass in kind.__subclasses__():
        if subclass.__module__.startswith("app."):
            yield subclass
        yield from subclasses(subclass)


def sources() -> list[Path]:
    return sorted((ROOT / "app").rglob("*.py"))


def sentences_of(name: str, position: int) -> Iterator[str]:
    """The sentence of each ``Message("code", "sentence")`` in the source, by the name."""
    for file in sources():
        for node in ast.walk(ast.parse(file.read_text())):
            if (
                isinstance(node, ast.Call)
                and isinstance(node.func, ast.Name)
                and node.func.id == name
                and len(node.args) > position
            ):
                match node.args[position]:
                    case ast.Constant(value=str(sentence)):
                        yield sentence
