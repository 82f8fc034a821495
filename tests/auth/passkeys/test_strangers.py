"""The same answers, given to ``@simplewebauthn/server``: its verdicts are ours.

``lies.py`` names the cases where they differ, and says why.
"""

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from app.auth.passkeys.options import ALGORITHMS
from tests.auth.passkeys.authenticator import ORIGIN, Authenticator, to_text
from tests.auth.passkeys.lies import ASSERTIONS, REGISTRATIONS, Case

NPM = Path(__file__).parents[2] / "npm"
RP_ID = "localhost"
CHALLENGE = to_text(bytes(range(32)))
HANDLE = to_text(bytes(32))


@pytest.fixture(autouse=True)
def library() -> None:
    """``make node-packages`` installs it."""
    is_there = (NPM / "node_modules" / "@simplewebauthn").is_dir() and shutil.which("node")
    if not is_there and os.environ.get("CI") == "true":
        pytest.fail("CI=true wants node, and the packages that make node-packages installs.")
    if not is_there:
        pytest.skip("Node.js or the packages of tests/npm are missing: make node-packages.")


def told(case: Case, *, key: Authenticator | None = None) -> dict[str, Any]:
    if key is None:
        user = {"rp": {"id": RP_ID}, "user": {"id": HANDLE}, "challenge": CHALLENGE}
        credential = Authenticator(algorithm=case.algorithm).create(user, case.lies)
    else:
        credential = key.get({"rpId": RP_ID, "challenge": CHALLENGE}, case.lies)
    return {
        "credential": case.twist(credential) if case.twist else credential,
        "challenge": CHALLENGE,
        "publicKey": to_text(key.public_key) if key else None,
    }


def verdicts(cases: list[dict[str, Any]]) -> list[Any]:
    asked = {"rpId": RP_ID, "origins": [ORIGIN], "algorithms": ALGORITHMS, "cases": cases}
    answer = subprocess.run(
        ["node", "verdicts.mjs"],
        cwd=NPM,
        input=json.dumps(asked),
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    found: list[Any] = json.loads(answer.stdout)
    return found


def differences(cases: list[Case], found: list[Any]) -> list[str]:
    """Where the library says something else than the table."""
    return [
        f"{case.name}: {verdict}"
        for case, verdict in zip(cases, found, strict=True)
        if (verdict is True) != (case.accepted if case.theirs is None else case.theirs)
    ]


def test_registrations_get_the_same_verdicts() -> None:
    found = verdicts([told(case) for case in REGISTRATIONS])

    assert differences(REGISTRATIONS, found) == []


def test_assertions_get_the_same_verdicts() -> None:
    keys = {algorithm: Authenticator(algorithm=algorithm) for algorithm in (-7, -257, -8)}
    for key in keys.values():
        key.user_handle = bytes(32)

    found = verdicts([told(case, key=keys[case.algorithm]) for case in ASSERTIONS])

    assert differences(ASSERTIONS, found) == []


def test_each_difference_is_explained() -> None:
    differing = [
        case for case in REGISTRATIONS + ASSERTIONS if case.theirs not in (None, case.accepted)
    ]

    assert differing
    assert [case.name for case in differing if not case.why] == []
