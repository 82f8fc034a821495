"""Somebody with a browser without JavaScript: opens pages, fills forms in, follows redirects."""

import re
from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import Any

from flask import Flask
from werkzeug.test import TestResponse

from app.models import User
from tests.cookies import browser
from tests.factories import PASSWORD

# As browsers ask for a page.
ACCEPT = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"
# Browsers send cookies that are Secure over https alone.
SITE = "https://localhost"


@dataclass
class FormOnPage:
    action: str
    id: str
    # What the browser would send: name → value.
    fields: dict[str, str] = field(default_factory=dict)
    # Everything that can be filled in, boxes that are not checked as well.
    names: list[str] = field(default_factory=list)
    # The texts of its buttons, and what each one sends.
    buttons: dict[str, tuple[str, str]] = field(default_factory=dict)


class Page(HTMLParser):
    """An answer, and what a person sees of it."""

    def __init__(self, answer: TestResponse) -> None:
        super().__init__()
        self.answer, self.status, self.html = answer, answer.status_code, answer.text
        self.path = answer.request.path
        self.forms: list[FormOnPage] = []
        self.links: list[str] = []
        # Field → its error.
        self.errors: dict[str, str] = {}
        self.title = self.heading = self.text = self.notice = self.summary = ""
        self._open: list[tuple[str, dict[str, str]]] = []
        self._select = ""
        self.feed(self.html)

    @property
    def lasting_html(self) -> str:
        """Without the hidden tokens of the forms. They are random, and may have any letters."""
        return re.sub('(?<=name="csrf_token" value=")[^"]*', "", self.html)

    def form(self, action: str | None = None) -> FormOnPage:
        """The form with this action or id, or else the form of the page."""
        [found] = [one for one in self.forms if (action or "form") in (one.action, one.id)]
        return found

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attributes}
        if tag not in ("input", "meta", "link", "img", "br", "hr"):
            self._open.append((tag, given))
        if tag == "form":
            self.forms.append(FormOnPage(given["action"], given.get("id", "")))
        elif tag == "a":
            self.links.append(given.get("href", ""))
        elif tag in ("input", "textarea", "select"):
            self._see_field(tag, given)
        elif tag == "option" and ("selected" in given or not self._form.fields.get(self._select)):
            self._form.fields[self._select] = given["value"]

    @property
    def _form(self) -> FormOnPage:
        return self.forms[-1]

    def _see_field(self, tag: str, given: dict[str, str]) -> None:
        name = given.get("name", "")
        if not name:
            return
        self._form.names.append(name)
        self._select = name
        is_box = given.get("type") in ("checkbox", "radio")
        if "disabled" in given or (is_box and "checked" not in given):
            return
        self._form.fields[name] = given.get("value", "")

    def handle_endtag(self, tag: str) -> None:
        while self._open and self._open.pop()[0] != tag:
            pass

    def handle_data(self, data: str) -> None:
        words = " ".join(data.split())
        if not self._open:
            return
        tag, given = self._open[-1]
        if tag == "textarea":
            self._form.fields[given["name"]] += data.removeprefix("\n")
        if not words or tag in ("script", "style"):
            return
        inside = [each.get("class", "") for _, each in self._open]
        if tag == "title":
            self.title = words
        elif tag == "button":
            owner = next((one for one in self.forms if one.id == given.get("form")), None)
            sent = (given.get("name", ""), given.get("value", ""))
            if owner or given.get("type") != "button":
                (owner or self._form).buttons[words] = sent
        elif tag == "h1":
            self.heading += words
        if given.get("class") == "error":
            self.errors[given["id"].removesuffix("-error")] = words
        if any(each.get("role") == "status" for _, each in self._open):
            self.notice += words
        elif "refusal" in inside:
            self.summary += words + " "
        self.text += words + " "


class Person:
    """Somebody at a browser, who has the cookies of earlier answers."""

    def __init__(self, app: Flask, **headers: str) -> None:
        self.client = browser(app)
        self.headers = {"Accept": ACCEPT, **headers}

    def open(self, path: str, **headers: str) -> Page:
        """Open a page, and follow it to where it leads."""
        page = Page(self.ask("GET", path, **headers))
        return self.follow(page) if page.status == 303 else page

    def follow(self, page: Page) -> Page:
        """Go where a redirect leads."""
        assert page.status == 303, (page.status, page.text)
        return self.open(page.answer.headers["Location"])

    def send(
        self, page: Page, action: str | None = None, *, press: str | None = None, **typed: Any
    ) -> Page:
        """Fill a form of the page in and send it. Does not follow."""
        form = page.form(action)
        unknown = typed.keys() - set(form.names)
        assert not unknown, f"The form has no {unknown}."
        data = form.fields | {name: text for name, text in typed.items() if text is not None}
        if press:
            name, value = form.buttons[press]
            data |= {name: value} if name else {}
        return Page(self.ask("POST", form.action, data=data))

    def ask(self, method: str, path: str, *, data: Any = None, **headers: str) -> TestResponse:
        return self.client.open(
            path, method=method, data=data, base_url=SITE, headers=self.headers | headers
        )

    def log_in(self, user: User, password: str = PASSWORD, **typed: Any) -> Page:
        """Log in with the page, and follow to where it leads."""
        page = self.open("/account/login")
        answer = self.send(page, username=user.username, password=password, **typed)
        return self.follow(answer)


def signed_in(app: Flask, user: User) -> Person:
    person = Person(app)
    assert person.log_in(user).status == 200
    return person
