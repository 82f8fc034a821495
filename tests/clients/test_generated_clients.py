"""Clients that generators make of the OpenAPI document: each compiles, and does what people do.

The story is the same for all: register, log in, read the profile, refresh, log out.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests
from flask import Flask

from tests.conftest import ENVIRONMENT
from tests.servers import Server, free_port, serving

HERE = Path(__file__).parent
NPM = HERE.parent / "npm" / "node_modules"
BIN = Path(sys.executable).parent
IMPORT_ALL = """
import accounts, importlib, pkgutil
for module in pkgutil.walk_packages(accounts.__path__, "accounts."):
    importlib.import_module(module.name)
"""
PACKAGES = ("openapi-typescript", "@hey-api/openapi-ts", "orval", "typescript")


pytestmark = [pytest.mark.postgresql, pytest.mark.usefixtures("app")]


@pytest.fixture(scope="module")
def server(
    session_app: Flask, database_url: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    log = tmp_path_factory.mktemp("server") / "gunicorn.log"
    port = free_port()
    variables = {"PUBLIC_URL": f"http://127.0.0.1:{port}", "WEB_CONCURRENCY": "1"}
    with serving(log, port=port, **ENVIRONMENT, **variables, DATABASE_URL=database_url) as server:
        yield server


@pytest.fixture(scope="module")
def folder(server: Server, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the document, as the server gives it."""
    folder = tmp_path_factory.mktemp("clients")
    document = requests.get(f"{server.url}/openapi.json", timeout=30)
    (folder / "openapi.json").write_bytes(document.content)
    return folder


@pytest.fixture(scope="module")
def in_typescript(folder: Path) -> Path:
    """The three clients in TypeScript, and their stories, compiled strictly."""
    is_there = all((NPM / package).is_dir() for package in PACKAGES) and shutil.which("node")
    if not is_there and os.environ.get("CI") == "true":
        pytest.fail("CI=true wants node, and the packages that make node-packages installs.")
    if not is_there:
        pytest.skip("Node.js or the packages of tests/npm are missing: make node-packages.")
    (folder / "node_modules").symlink_to(NPM)
    (folder / "package.json").write_text('{"type": "module"}')
    for file in (*HERE.glob("*.ts"), *HERE.glob("*.config.mjs"), HERE / "tsconfig.json"):
        shutil.copy(file, folder)
    run(folder, "openapi-typescript", "openapi.json", "-o", "openapi_typescript/schema.ts")
    run(folder, "openapi-ts")
    run(folder, "orval")
    run(folder, "tsc")
    return folder / "built"


def run(folder: Path, program: str | Path, *arguments: str | Path) -> None:
    path = f"{folder / 'node_modules' / '.bin'}:{os.environ['PATH']}"
    done = subprocess.run(
        [program, *arguments],
        cwd=folder,
        env=os.environ | {"PATH": path},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("client", ["openapi_fetch", "hey_api", "orval"])
def test_a_client_in_typescript_does_what_people_do(
    in_typescript: Path, server: Server, client: str
) -> None:
    run(in_typescript, "node", f"with_{client}.js", server.url, "ada")


def test_a_client_in_python_does_what_people_do(folder: Path, server: Server) -> None:
    (folder / "python.yml").write_text("package_name_override: accounts\npost_hooks: []\n")
    run(
        folder,
        BIN / "openapi-python-client",
        *("generate", "--path", "openapi.json", "--meta", "none", "--config", "python.yml"),
        *("--output-path", "accounts", "--fail-on-warning"),
    )

    python = ("env", "PYTHONPATH=.", sys.executable)
    run(folder, *python, "-c", IMPORT_ALL)
    run(folder, *python, HERE / "with_openapi_python_client.py", server.url, "ada")
