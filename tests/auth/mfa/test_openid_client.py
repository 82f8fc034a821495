"""Second factors at the token endpoint, with the JavaScript library ``openid-client``.

It is stricter than the others: it reads no error that is not plain JSON.
"""

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest
from flask.testing import FlaskClient

from app.models import User
from tests.auth.mfa.phone import enrol
from tests.auth.mfa.test_oauth_clients import GRANT, url
from tests.factories import PASSWORD

__all__ = ["url"]

NPM = Path(__file__).parents[2] / "npm"


@pytest.fixture(autouse=True)
def library() -> None:
    """``make node-packages`` installs it."""
    is_there = (NPM / "node_modules" / "openid-client").is_dir() and shutil.which("node")
    if not is_there and os.environ.get("CI") == "true":
        pytest.fail("CI=true wants node, and the packages that make node-packages installs.")
    if not is_there:
        pytest.skip("Node.js or the packages of tests/npm are missing: make node-packages.")


def test_openid_client_sees_the_refusal_and_goes_on(
    url: str, client: FlaskClient, ada: User
) -> None:
    phone = enrol(client, ada)
    asked = {
        "url": url.removesuffix("/auth/token"),
        "username": "ada",
        "password": PASSWORD,
        "otp": phone.code(),
        "grant": GRANT,
    }

    answer = subprocess.run(
        ["node", "mfa_client.mjs"],
        cwd=NPM,
        input=json.dumps(asked),
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )

    seen = json.loads(answer.stdout)
    # Had it not been JSON for OAuth clients, the library would have named another kind of error.
    kinds = {name: seen[name]["kind"] for name in ("refusal", "wrong", "spent")}
    assert set(kinds.values()) == {"ResponseBodyError"}
    assert (seen["refusal"]["status"], seen["refusal"]["error"]) == (403, "mfa_required")
    assert seen["refusal"]["body"]["methods"] == ["totp", "recovery_code"]
    assert (seen["wrong"]["status"], seen["wrong"]["error"]) == (403, "wrong_factor")
    assert seen["wrong"]["body"]["tries_left"] == 4
    assert (seen["spent"]["status"], seen["spent"]["error"]) == (400, "invalid_grant")
    assert seen["me"]["username"] == "ada"
