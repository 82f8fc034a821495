"""What devices are called: by a list, and never by their own words."""

import re

import pytest

from app.security import devices
from tests.cases import each
from tests.security.user_agents import COMMON

MOZILLA = "Mozilla/5.0"
BLINK = "AppleWebKit/537.36 (KHTML, like Gecko)"
X11 = f"{MOZILLA} (X11; Linux x86_64"
WINDOWS = f"{MOZILLA} (Windows NT 10.0; Win64; x64"
MAC = f"{MOZILLA} (Macintosh; Intel Mac OS X 10_15_7)"
IPHONE = f"{MOZILLA} (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15"
PIXEL = f"{MOZILLA} (Linux; Android 14; Pixel 8) {BLINK}"

NAMES = {
    f"{X11}; rv:128.0) Gecko/20100101 Firefox/128.0": "Firefox on Linux",
    f"{WINDOWS}; rv:128.0) Gecko/20100101 Firefox/128.0": "Firefox on Windows",
    f"{WINDOWS}) {BLINK} Chrome/126.0.0.0 Safari/537.36": "Chrome on Windows",
    f"{WINDOWS}) {BLINK} Chrome/126.0.0.0 Safari/537.36 Edg/126.0.0.0": "Edge on Windows",
    f"{WINDOWS}) {BLINK} Chrome/126.0.0.0 Safari/537.36 OPR/111.0": "Opera on Windows",
    f"{MAC} AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.5 Safari/605.1.15": (
        "Safari on macOS"
    ),
    f"{IPHONE} (KHTML, like Gecko) Version/17.5 Mobile/15E148 Safari/604.1": "Safari on iPhone",
    f"{IPHONE} (KHTML, like Gecko) CriOS/126.0 Mobile/15E148 Safari/604.1": "Chrome on iPhone",
    f"{IPHONE} (KHTML, like Gecko) FxiOS/127.0 Mobile/15E148 Safari/605.1.15": "Firefox on iPhone",
    f"{PIXEL} Chrome/126.0.0.0 Mobile Safari/537.36": "Chrome on Android",
    f"{PIXEL} SamsungBrowser/25.0 Chrome/121.0 Mobile Safari/537.36": (
        "Samsung Internet on Android"
    ),
    f"{MOZILLA} (X11; CrOS x86_64 14541.0.0) {BLINK} Chrome/126.0.0.0 Safari/537.36": (
        "Chrome on ChromeOS"
    ),
    "curl/8.5.0": "curl",
    "python-requests/2.32.3": "Python",
    "okhttp/4.12.0": "OkHttp",
    "MyApp/3 CFNetwork/1496.0.7 Darwin/23.5.0": "macOS",
    "": devices.UNKNOWN,
    "your-account-is-locked.example call 0800 123456": devices.UNKNOWN,
    "NotFirefox/1": devices.UNKNOWN,
}


@each(("user_agent", "name"), (NAMES | COMMON).items())
def test_a_device_is_called_what_a_person_would_call_it(user_agent: str, name: str) -> None:
    assert devices.name(user_agent) == name


def test_a_device_that_says_nothing_is_unknown() -> None:
    assert devices.name(None) == devices.UNKNOWN


@pytest.mark.parametrize(
    "words",
    [
        "https://evil.example/Firefox/1",
        "Firefox/1 (evil.example; Windows)",
        "Chrome/126.0 on Linux at www.evil.example call 0800 123456",
        "Firefox/\u202e1 \u0130 <b>Windows</b>",
        "A" * 300 + " Firefox/1",
    ],
)
def test_nothing_that_a_client_writes_is_repeated(words: str) -> None:
    assert devices.name(words) in every_name()


def test_no_name_is_longer_than_60_characters_or_leads_to_a_page() -> None:
    names = every_name()

    assert len(names) > 400
    assert max(map(len, names)) <= 60
    # Mail programs make a link of whatever looks like a domain.
    assert [name for name in names if re.search(r"[^A-Za-z0-9 ]", name)] == []


def every_name() -> set[str]:
    programs, systems = (
        {name for _, name in table} for table in (devices.PROGRAMS, devices.SYSTEMS)
    )
    both = {f"{program} on {system}" for program in programs for system in systems}
    return programs | systems | both | {devices.UNKNOWN}
