"""Somebody with a browser who signs in with a provider."""

from urllib.parse import urlencode, urlsplit

from werkzeug.test import TestResponse

from tests.auth.providers.lying_provider import Provider
from tests.pages.person import Page, Person

# The callback is opened by a page of the provider.
FROM_THERE = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"}


def begin(person: Person, name: str, **form: str) -> TestResponse:
    """Press the button of a provider."""
    return press(person, form_token(person), name, **form)


def form_token(person: Person) -> str:
    """What our forms hold, from a page that is smaller than the login with all its buttons."""
    return person.open("/account/forgot").form().fields["csrf_token"]


def press(person: Person, token: str, name: str, **form: str) -> TestResponse:
    """Press the button of a provider on a page that was opened before."""
    data = {"csrf_token": token, "purpose": "login", "next": "/account", **form}
    return person.ask("POST", f"/account/with/{name}", data=data)


def leads_to(answer: TestResponse) -> str:
    """Where a page goes on to at the provider."""
    assert answer.status_code == 200, answer.text
    [url] = {link for link in Page(answer).links if "://" in link}
    return url


def come_back(person: Person, name: str, brought: dict[str, str]) -> TestResponse:
    """Open the callback, as the provider asks the browser to."""
    path = f"/account/with/{name}/callback?{urlencode(brought)}"
    return person.ask("GET", path, **FROM_THERE)


def sign_in(person: Person, provider: Provider, name: str, **form: str) -> TestResponse:
    """The whole way: there, agree, and back. Returns the first answer that is not as planned."""
    begun = begin(person, name, **form)
    return finish(person, provider, name, begun)


def finish(person: Person, provider: Provider, name: str, begun: TestResponse) -> TestResponse:
    if begun.status_code != 200:
        return begun
    brought = provider.authorize(leads_to(begun))
    return come_back(person, name, brought)


def place_of(answer: TestResponse) -> str:
    """The path that a redirect leads to."""
    assert answer.status_code == 303, (answer.status_code, answer.text)
    return urlsplit(answer.headers["Location"]).path
