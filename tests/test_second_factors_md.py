"""The commands of docs/second-factors.md do what the page shows."""

import re
import sys
import time
from itertools import count
from pathlib import Path

import pytest

from app.auth.mfa.totp.codes import SECONDS
from tests.servers import environment_for, flask, serving
from tests.test_readme import blocks, masked, own_database_url, paste, settings, steps

__all__ = ["own_database_url", "settings"]  # fixtures

PAGE = "docs/second-factors.md"
# What one run needs at most, with a busy machine.
LONGEST_WALK = 12
DEFINITION = next(block.text for block in blocks(PAGE) if block.text.startswith("code() {"))


def masked_here(text: str) -> str:
    """Without the secrets, too, which differ each time."""
    for pattern, name in (
        (r'"(mfa_token|device_token)":"[^"]*"', r'"\1":"SECRET"'),
        (r'"recovery_codes":\[[^]]*\]', '"recovery_codes":[CODES]'),
        (r"secret=[A-Z2-7]{32}", "secret=SECRET"),
    ):
        text = re.sub(pattern, name, text)
    return masked(text)


def code_of_step(steps_back: int) -> str:
    """A shell function that prints the code of this step, or of one before it."""
    program = (
        "import pyotp, sys, time; "
        f"print(pyotp.TOTP(sys.argv[1]).at(int(time.time()) - {steps_back * SECONDS}))"
    )
    return f"code() {{ {sys.executable} -c '{program}' \"$secret\"; }}\n"


def wait_for_a_step_that_is_long_enough() -> None:
    left = SECONDS - time.time() % SECONDS
    if left < LONGEST_WALK:
        time.sleep(left)


def test_the_walk_through_prints_what_the_page_shows(
    settings: dict[str, str], tmp_path: Path
) -> None:
    walk = steps(PAGE)
    # Each code works once, and nobody wants to wait for the next one: the first is that of the
    # step before.
    steps_back = count(1, -1)
    commands = [
        code_of_step(next(steps_back)) + step.command if "$(code)" in step.command else step.command
        for step in walk
    ]
    flask("db", "upgrade", environment=environment_for(**settings))

    with serving(tmp_path / "log", **settings) as server:
        log_in_first = [step.command for step in steps("README.md")[:3]]
        wait_for_a_step_that_is_long_enough()
        printed = paste([*log_in_first, *commands], server)[3:]

    assert [masked_here(text) for text in printed] == [masked_here(step.shown) for step in walk]


def test_the_walk_through_covers_the_calls_in_their_order() -> None:
    called = [re.findall(r"/api/v1/(\S+)", step.command)[0] for step in steps(PAGE)]

    assert called == [
        *("auth/factors/totp", "auth/factors/totp/confirm"),
        *("auth/login", "auth/mfa", "auth/login", "auth/reauthenticate"),
    ]


@pytest.mark.parametrize("secret", ["JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP"])
def test_the_page_prints_a_code_as_an_app_does(secret: str) -> None:
    assert ".venv/bin/python" in DEFINITION
    assert "pyotp.TOTP(sys.argv[1]).now()" in DEFINITION
