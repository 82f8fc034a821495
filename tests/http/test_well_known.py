"""``/.well-known/security.txt`` (RFC 9116)."""

from collections.abc import Callable
from datetime import datetime

import time_machine
from flask import Flask

SITE = "https://accounts.example.com"


def test_security_txt_says_whom_to_tell(make_app: Callable[..., Flask]) -> None:
    contacts = "security@example.com,https://example.com/security"
    client = make_app(SECURITY_CONTACT=contacts, PUBLIC_URL=SITE).test_client()

    with time_machine.travel(datetime.fromisoformat("2026-11-22T08:00:00Z"), tick=False):
        answer = client.get("/.well-known/security.txt")

    assert answer.content_type == "text/plain; charset=utf-8"
    assert answer.text.splitlines() == [
        "Contact: mailto:security@example.com",
        "Contact: https://example.com/security",
        # Required, and less than a year from now (§2.5.5).
        "Expires: 2027-05-21T00:00:00Z",
        "Preferred-Languages: en, zh",
        f"Canonical: {SITE}/.well-known/security.txt",
    ]
