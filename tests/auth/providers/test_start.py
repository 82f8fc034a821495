"""Configured providers cost nothing before somebody uses one: no call, no library."""

import json
import subprocess
import sys
from pathlib import Path

from tests.conftest import ENVIRONMENT
from tests.servers import ROOT, environment_for

PROVIDERS = {
    "OIDC_PROVIDERS": "google,acme",
    "OIDC_GOOGLE_ISSUER": "https://accounts.google.com",
    "OIDC_GOOGLE_CLIENT_ID": "our-client",
    "OIDC_GOOGLE_CLIENT_SECRET": "a-secret-at-Google",
    "OIDC_ACME_ISSUER": "https://login.acme.invalid",
    "OIDC_ACME_CLIENT_ID": "our-client",
    "OIDC_ACME_CLIENT_SECRET": "a-secret-at-Acme",
    "GITHUB_CLIENT_ID": "our-client",
    "GITHUB_CLIENT_SECRET": "a-secret-at-GitHub",
}

# In a process of its own, because the tests of this one have imported the library. The hook sees
# every look-up of a name and every connection, whoever makes it.
UNUSED = """
import json, sys
called = []
def note(event, arguments):
    if event.startswith(("socket.getaddrinfo", "socket.gethostby", "socket.connect")):
        called.append(event)
sys.addaudithook(note)

from app import create_app, read_settings
app = create_app(read_settings(json.loads(sys.argv[1])))
client = app.test_client()
assert client.get("/healthz").status_code == 200
names = [one["name"] for one in client.get("/api/v1/auth/providers").json["items"]]
login = client.get("/account/login", base_url="https://localhost").text
assert all(f"/account/with/{name}" in login for name in names), login
loaded = sorted(name for name in sys.modules if name.partition(".")[0] in ("joserfc", "authlib"))
print(json.dumps({"names": names, "called": called, "loaded": loaded}))
"""


def test_a_start_with_providers_calls_nobody_and_loads_no_library(tmp_path: Path) -> None:
    database = {"DATABASE_URL": f"sqlite:///{tmp_path / 'app.db'}"}
    done = subprocess.run(
        [sys.executable, "-c", UNUSED, json.dumps(ENVIRONMENT | database | PROVIDERS)],
        cwd=ROOT,
        env=environment_for(),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert done.returncode == 0, done.stderr
    seen = json.loads(done.stdout)
    assert sorted(seen["names"]) == ["acme", "github", "google"]
    assert (seen["called"], seen["loaded"]) == ([], [])
