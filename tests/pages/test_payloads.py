"""What people and strangers write stays text on every account page (cross-site scripting)."""

from html.parser import HTMLParser

import pytest
import sqlalchemy
from flask import Flask

from app.extensions import db
from app.models import AuditEvent, OneTimeToken, Session, User
from app.pages import menu
from app.security import one_time_tokens
from app.security.one_time_tokens import Purpose
from tests.cases import each
from tests.pages.person import Person
from tests.pages.routes import page_routes

PAYLOADS = [
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    '"><svg onload=alert(1)>',
    "'><svg onload=alert(1)>",
    '" autofocus onfocus=alert(1) x="',
    "' onmouseover='alert(1)",
    "</textarea><script>alert(1)</script>",
    "</title><script>alert(1)</script>",
    "</script><script>alert(1)</script>",
    "--><script>alert(1)</script><!--",
    "<!--<script>",
    "]]><script>alert(1)</script>",
    "javascript:alert(1)//",
    "<a href=javascript:alert(1)>x</a>",
    "<form action=https://evil.example><input name=password>",
    "<base href=https://evil.example/>",
    "<style>*{display:none}</style>",
    "{{7*7}}{% raw %}{{config}}",
    "%(origin)s %s %n %(",
    "&lt;script&gt;&#60;b&#62;\u202e<b>",
]
HARMLESS = "plain"
# Their sentences hold details.
EVENTS = ("email_change_asked", "email_changed", "user_updated", "roles_changed", "login_failed")


class Skeleton(HTMLParser):
    """The elements of a page with the names of their attributes, and where its links lead."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.parts: list[tuple[str, tuple[str, ...]]] = []
        self.comments: list[str] = []
        self.leads_to: list[str] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.parts.append((tag, tuple(name for name, _ in attributes)))
        leading = ("href", "src", "action")
        self.leads_to += [value or "" for name, value in attributes if name in leading]

    def handle_comment(self, data: str) -> None:
        self.comments.append(data)


def write_everywhere(app: Flask, user: User, text: str) -> None:
    """Let each text that a page shows be this one. The database takes what the API refuses."""
    personal = {"email": {"from": text, "to": text}, "username": text}
    details = {"fields": [text], "roles": {"from": [text], "to": [text]}, "reason": text}
    profile = {
        "username": text[:50],
        "full_name": text,
        "bio": text,
        "avatar_url": text,
        "email": text,
    }
    of_session = {"user_agent": text, "ip": text[:45], "signed_in_by": text[:30], "amr": text[:60]}
    with app.app_context():
        db.session.execute(sqlalchemy.update(User).values(**profile))
        db.session.execute(sqlalchemy.update(Session).values(**of_session))
        db.session.execute(sqlalchemy.update(OneTimeToken).values(email=text))
        for name in (*EVENTS, text):
            db.session.add(
                AuditEvent(
                    event=name[:50],
                    subject_id=user.id,
                    actor_id=user.id,
                    ip=text[:45],
                    user_agent=text,
                    details=details,
                    personal=personal,
                )
            )
        db.session.commit()


def account_pages(app: Flask) -> list[str]:
    """The pages of the menu that there are."""
    served = {path for method, path in page_routes(app) if method == "GET"}
    return [path for path, _ in menu.ENTRIES if path in served]


def skeletons(person: Person, paths: list[str]) -> dict[str, Skeleton]:
    return {path: Skeleton(person.ask("GET", path).text) for path in paths}


@pytest.mark.postgresql
def test_what_anybody_writes_stays_text_on_every_page(
    app: Flask, ada_at_home: Person, ada: User
) -> None:
    with app.app_context():
        one_time_tokens.issue(ada.id, Purpose.EMAIL_CHANGE, email="x")
        db.session.commit()
    paths = account_pages(app)
    # The page of the activity is full, as it is in each round below.
    for _ in range(5):
        write_everywhere(app, ada, HARMLESS)
    expected = skeletons(ada_at_home, paths)
    assert {"/account", "/account/email", "/account/devices", "/account/activity"} <= set(paths)
    assert f"to {HARMLESS}." in ada_at_home.open("/account/email").text
    wrong = []

    for payload in PAYLOADS:
        write_everywhere(app, ada, payload)
        for path, found in skeletons(ada_at_home, paths).items():
            is_same = found.parts == expected[path].parts and not found.comments
            leads_away = [link for link in found.leads_to if not link.startswith(("/", "#"))]
            if not is_same or leads_away:
                wrong.append((path, payload, leads_away))

    assert wrong == []


@pytest.mark.postgresql
@each("payload", PAYLOADS)
def test_what_somebody_types_stays_text_when_it_is_refused(
    ada_at_home: Person, payload: str
) -> None:
    for path, name in (("/account", "username"), ("/account/email", "new_email")):
        page = ada_at_home.open(path)
        refused = {
            text: Skeleton(ada_at_home.send(page, **{name: text}).html)
            for text in ("x y" if name == "new_email" else "-", payload)
        }

        first, second = refused.values()
        assert first.parts == second.parts
        assert not second.comments
