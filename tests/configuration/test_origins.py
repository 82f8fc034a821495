"""Why an entry of CORS_ORIGINS is refused."""

import pytest

from configuration import hosts
from configuration.refusals import Wrong
from tests.cases import each


@each(
    ("entry", "flaw"),
    [
        ("*", "it would allow the pages of every site"),
        ("null", "many other pages send it"),
        ("app.example.com", "it has no scheme"),
        ("file:///index.html", "pages that are opened from files send null"),
        ("https://*.example.com", "it has a wildcard"),
        ("https://ada@app.example.com", "it has a user name"),
        ("https://app.example.com/", "it goes on after the host and the port"),
        ("capacitor://localhost?a", "it goes on after the host and the port"),
        ("capacitor://", "it has no host"),
        ("https://:443", "it has no host"),
        ("my_app://localhost", "its scheme has characters that no scheme has"),
        ("https://app..example.com", "its host is not a host name"),
        ("https://[::g]:443", "its host is not a host name"),
        ("https://app.example.com:99999", "its port is not from 1 to 65535"),
        ("ionic://localhost:x", "its port is not from 1 to 65535"),
    ],
)
def test_a_refusal_says_what_is_wrong_with_an_origin(entry: str, flaw: str) -> None:
    with pytest.raises(Wrong) as refusal:
        hosts.origin(entry)

    assert str(refusal.value).startswith(f"holds {entry!r}, which is not an origin: ")
    assert flaw in str(refusal.value)
