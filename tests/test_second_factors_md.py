"""The commands of docs/second-factors.md do what the page shows."""

import re
import sys
from pathlib import Path

import pytest

from tests.servers import environment_for, flask, serving
from tests.test_readme import blocks, masked, own_database_url, paste, settings, steps

__all__ = ["own_database_url", "settings"]  # fixtures

PAGE = "docs/second-factors.md"
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


def with_an_unused_code(command: str, database_url: str) -> str:
    """The server forgets which code was used, because nobody wants to wait for the next one."""
    url = database_url.replace("postgresql://", "postgresql+psycopg://")
    program = (
        "from sqlalchemy import create_engine, text; "
        f"database = create_engine({url!r}).connect(); "
        "database.execute(text('UPDATE totp_factors SET last_step = 0')); database.commit()"
    )
    return f'{sys.executable} -c "{program}"\n{command}'


def test_the_walk_through_prints_what_the_page_shows(
    settings: dict[str, str], tmp_path: Path
) -> None:
    walk = steps(PAGE)
    shown = {step.command: step.shown for step in walk}
    pasted = [block.text for block in blocks(PAGE) if block.language == "bash"]
    runnable = [command.replace(".venv/bin/python", sys.executable) for command in pasted]
    commands = [
        with_an_unused_code(command, settings["DATABASE_URL"]) if "$(code)" in command else command
        for command in runnable
    ]
    flask("db", "upgrade", environment=environment_for(**settings))

    with serving(tmp_path / "log", **settings) as server:
        readme = [step.command for step in steps("README.md")]
        printed = paste([*readme, *commands], server)[len(readme) :]

    answers = [
        masked_here(text) for command, text in zip(pasted, printed, strict=True) if command in shown
    ]
    assert answers == [masked_here(step.shown) for step in walk]


def test_the_walk_through_covers_the_calls_in_their_order() -> None:
    called = [re.findall(r"/api/v1/(\S+)", step.command)[0] for step in steps(PAGE)]

    assert called == [
        *("auth/factors/totp", "auth/factors/totp/confirm"),
        *("auth/login", "auth/mfa", "auth/login", "auth/reauthenticate"),
        *("auth/token", "auth/token"),
    ]


@pytest.mark.parametrize("secret", ["JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP"])
def test_the_page_prints_a_code_as_an_app_does(secret: str) -> None:
    assert ".venv/bin/python" in DEFINITION
    assert "pyotp.TOTP(sys.argv[1]).now()" in DEFINITION
