"""Calls to providers, and what is kept of their answers.

All go through the outbound guard: https, public addresses, no redirects, a
limit of time and of size. Give the database connection back before a call.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from threading import BoundedSemaphore, Lock
from typing import Any
from urllib.parse import urlencode, urlsplit

from flask import Flask, current_app

from app import clock
from app.auth.providers.errors import ProviderAway
from app.security.outbound.fetching import Answer, OutboundFailed, fetch
from config import settings

# A provider that failed is left alone for a moment. Otherwise one that does not answer would hold
# every thread of the server.
FAILURES_KEPT = timedelta(seconds=10)
# For the same reason, at most a quarter of the threads wait for one server. The next call waits a
# moment for its turn.
PART_OF_THREADS = 4
SECONDS_TO_WAIT = 2.0
JSON = re.compile(r"application/([\w.-]+\+)?json", re.ASCII | re.IGNORECASE)
# An access token goes into a header, in which a line break would begin another one (RFC 6749 A.12).
ACCESS_TOKEN = re.compile(r"[ -~]+")
HEADERS = {"Accept": "application/json", "User-Agent": "flask-user-system"}


def get(url: str, *, access_token: str | None = None) -> Any:
    """The JSON at this URL. Raises ``ProviderAway``."""
    shown = {}
    if access_token is not None:
        if not ACCESS_TOKEN.fullmatch(access_token):
            raise ProviderAway("its access token does not fit into a header")
        shown = {"Authorization": f"Bearer {access_token}"}
    answer = _fetched(url, headers={**HEADERS, **shown})
    if answer.status != 200:
        raise ProviderAway(f"it answered a GET with the status {answer.status}")
    return _read(answer)


def post(url: str, form: Mapping[str, str], headers: Mapping[str, str]) -> Any:
    """Send a form to a token endpoint. Returns the JSON of a good or bad answer.

    Raises ``ProviderAway``.
    """
    types = {"Content-Type": "application/x-www-form-urlencoded"}
    body = urlencode(form).encode()
    answer = _fetched(url, method="POST", headers={**HEADERS, **types, **headers}, body=body)
    # RFC 6749 §5.2: the errors of this call are JSON too.
    if answer.status not in (200, 400, 401):
        raise ProviderAway(f"its token endpoint answered with the status {answer.status}")
    return _read(answer)


def text_in(document: Any, name: str) -> str:
    """A member of a provider's JSON object that must be a text. Raises ``ProviderAway``."""
    text = document.get(name) if isinstance(document, dict) else None
    if not isinstance(text, str) or not text:
        raise ProviderAway(f"{name} is missing in its answer")
    return text


def _fetched(url: str, **request: Any) -> Answer:
    line = documents().line_to(urlsplit(url).netloc)
    if not line.acquire(timeout=SECONDS_TO_WAIT):
        raise ProviderAway("too many other calls wait for it")
    try:
        return fetch(url, **request)
    except OutboundFailed as failure:
        raise ProviderAway(f"{failure.reason}: {failure}") from None
    finally:
        line.release()


def _read(answer: Answer) -> Any:
    """The JSON of an answer. One that calls itself HTML may be what somebody uploaded there."""
    if not JSON.fullmatch(answer.headers.get("content-type", "").partition(";")[0].strip()):
        raise ProviderAway("its answer does not call itself JSON")
    try:
        return json.loads(answer.body.decode())
    except (ValueError, RecursionError):
        raise ProviderAway("its answer is not JSON") from None


@dataclass
class _Kept:
    """A document of a provider, when it was read, and whether that failed."""

    lock: Lock = field(default_factory=Lock)
    document: Any = None
    read_at: datetime | None = None
    failed_at: datetime | None = None

    def is_younger_than(self, age: timedelta) -> bool:
        return self.read_at is not None and clock.now() - self.read_at < age


class Documents:
    """Documents of providers. Each process reads one when somebody needs it, and keeps it."""

    def __init__(self) -> None:
        self._kept: dict[str, _Kept] = {}
        self._lines: dict[str, BoundedSemaphore] = {}

    def read(self, url: str, *, younger_than: timedelta) -> Any:
        """The document at this URL, read again if it is older. Raises ``ProviderAway``.

        While one thread reads it, others for whom the old one is too old wait
        for a moment, and then use what it got.
        """
        kept = self._kept.setdefault(url, _Kept())
        if not kept.is_younger_than(younger_than):
            if not kept.lock.acquire(timeout=SECONDS_TO_WAIT):
                raise ProviderAway("another request waits for it")
            try:
                if not kept.is_younger_than(younger_than):
                    self._read_again(url, kept)
            finally:
                kept.lock.release()
        return kept.document

    def line_to(self, server: str) -> BoundedSemaphore:
        """What a call to the server takes, and gives back."""
        at_once = max(settings.web_threads // PART_OF_THREADS, 1)
        return self._lines.setdefault(server, BoundedSemaphore(at_once))

    def clear(self) -> None:
        self._kept.clear()

    def _read_again(self, url: str, kept: _Kept) -> None:
        if kept.failed_at is not None and clock.now() - kept.failed_at < FAILURES_KEPT:
            raise ProviderAway("it failed a moment ago")
        try:
            kept.document = get(url)
        except ProviderAway:
            kept.failed_at = clock.now()
            raise
        kept.read_at, kept.failed_at = clock.now(), None


def init_app(app: Flask) -> None:
    app.extensions["provider documents"] = Documents()


def documents() -> Documents:
    kept: Documents = current_app.extensions["provider documents"]
    return kept
