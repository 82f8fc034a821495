"""README's commands, and docs/extending.md's, do what the pages show."""

import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import pytest
from flask import Flask, request
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from app.access import permissions
from app.errors import ValidationFailed
from app.extensions import db
from app.models import User
from tests.conftest import (
    HAS_POSTGRES,
    IS_LONG_RUN,
    SECRET_KEY,
    new_postgres_database,
)
from tests.factories import bearer, log_in, me, problem
from tests.servers import ROOT, Server, environment_for, flask, serving

# The variables with which README and the page on extending serve the example.
WITH_NOTES = ("PYTHONPATH=examples/notes", "FEATURES=notes")
LOCALHOST = "http://localhost:8000"
REGISTER = (
    f'curl -X POST {LOCALHOST}/api/v1/auth/register -H "Content-Type: application/json" '
    """-d '{"email":"test@example.com","username":"testuser","password":"password123"}'"""
)


class Block(NamedTuple):
    """A fenced block, and the text between it and the one before."""

    before: str
    language: str
    text: str


def blocks(page: str) -> list[Block]:
    text = (ROOT / page).read_text(encoding="utf-8")
    found = re.findall(r"(.*?)^```(\w*)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    return [Block(*block) for block in found]


class Step(NamedTuple):
    command: str
    shown: str


def test_readme_is_short_and_shows_two_small_pictures() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")

    pictures = re.findall(r'src="(docs/pictures/\w+\.png)"', text)

    assert pictures == ["docs/pictures/account.png", "docs/pictures/devices.png"]
    assert all((ROOT / name).stat().st_size <= 150 * 1024 for name in pictures)
    assert len(text.splitlines()) <= 150


def steps(page: str) -> list[Step]:
    """The shell blocks that are followed by what they print."""
    all_blocks = blocks(page)
    return [
        Step(block.text, answer.text)
        for block, answer in pairwise(all_blocks)
        if block.language == "bash" and answer.language in ("json", "text")
    ]


def paste(commands: list[str], server: Server) -> list[str]:
    """Run the commands one after the other in one bash, and return what each printed."""
    end = "--- end of a block ---"
    script = "".join(f"{command}\necho '{end}'\n" for command in commands)
    return bash(script.replace(LOCALHOST, server.url)).split(f"{end}\n")[:-1]


def bash(script: str, *, cwd: Path | None = None, **variables: str) -> str:
    """Run the script and return what it printed; fails if it fails."""
    done = subprocess.run(
        ["bash", "-u"],
        cwd=cwd,
        env=environment_for(**variables),
        input=script,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def masked(text: str) -> str:
    """Without what differs each time: tokens, times, ids."""
    for pattern, name in (
        (r"eyJhbGciOi[\w.-]*…?", "TOKEN"),
        (r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", "TIME"),
        (r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", "UUID"),
        (r'"id":\d+', '"id":ID'),
    ):
        text = re.sub(pattern, name, text)
    return text


@pytest.fixture(params=["sqlite", "postgresql"] if IS_LONG_RUN else ["sqlite"])
def own_database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """A database that no other test touches, not even its tables."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'test.db'}"
    elif not HAS_POSTGRES:
        pytest.skip("no PostgreSQL")
    else:
        with new_postgres_database() as url:
            yield url


@pytest.fixture
def settings(own_database_url: str) -> dict[str, str]:
    return {
        "DATABASE_URL": own_database_url,
        "SECRET_KEY": SECRET_KEY,
        "PAGES": "true",
        "WEB_CONCURRENCY": "1",
        "BCRYPT_ROUNDS": "10",
    }


def test_the_walk_through_prints_what_readme_shows(
    settings: dict[str, str], tmp_path: Path
) -> None:
    walk = steps("README.md")
    flask("db", "upgrade", environment=environment_for(**settings))

    with serving(tmp_path / "log", **settings) as server:
        printed = paste([step.command for step in walk], server)

    assert [masked(text) for text in printed] == [masked(step.shown) for step in walk]


def test_the_walk_through_covers_the_calls_in_their_order() -> None:
    walk = steps("README.md")

    called = [re.findall(r"/api/v1/(\S+)", step.command)[0] for step in walk]

    assert walk[0].command.strip() == REGISTER
    assert called == [
        *("auth/register", "auth/register", "auth/login", "users/me", "users/me"),
        *("auth/refresh", "auth/logout", "users/me"),
    ]


def test_every_shell_block_of_readme_is_run_here_or_by_make() -> None:
    shell = [block.text for block in blocks("README.md") if block.language == "bash"]

    others = [text for text in shell if text not in {step.command for step in steps("README.md")}]

    assert others == [
        "make run\n",
        "make test\n",
        f"DATABASE_URL=sqlite:///notes.db {' '.join(WITH_NOTES)} make run\n",
    ]


def test_make_run_upgrades_the_database_and_starts_gunicorn_as_here() -> None:
    run = (ROOT / "Makefile").read_text(encoding="utf-8").split("\nrun: install", 1)[1]

    recipe = [line.strip() for line in run.split("\n\n", 1)[0].splitlines()[1:]]

    assert recipe == ["@$(BIN)/flask db upgrade", "@exec $(BIN)/gunicorn wsgi:app"]


@pytest.mark.parametrize("page", ["README.md", "docs/extending.md"])
def test_a_guarded_blueprint_greets_who_is_signed_in(
    page: str, new_app: Callable[..., Flask], ada: User
) -> None:
    source = next(b.text for b in blocks(page) if '"greetings"' in b.text)
    module: dict[str, Any] = {"__name__": "greetings"}
    exec(source, module)  # what the page tells the reader to write
    app = new_app()
    app.register_blueprint(module["bp"], url_prefix="/api/v1")
    client = app.test_client()
    token = log_in(client, ada)["access_token"]

    greeted = client.get("/api/v1/greeting", headers=bearer(token))
    refused = client.get("/api/v1/greeting")
    client.post("/api/v1/auth/logout", headers=bearer(token))
    ended = client.get("/api/v1/greeting", headers=bearer(token))

    assert greeted.json == {"greeting": "Hello, ada!"}
    assert (refused.status_code, refused.json["code"]) == (401, "not_authenticated")
    assert (ended.status_code, ended.json["code"]) == (401, "session_ended")
    assert me(client, log_in(client, ada)["access_token"]).status_code == 200


def test_a_permission_of_ones_own_opens_a_call_of_ones_own(
    new_app: Callable[..., Flask], ada: User, grace: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(permissions, "_declared", dict(permissions._declared))
    page = blocks("docs/extending.md")
    source = next(block.text for block in page if '"reports"' in block.text)
    commands = next(block.text for block in page if "flask roles create" in block.text)
    module: dict[str, Any] = {"__name__": "reports"}
    exec(source, module)  # what the page tells the reader to write
    app = new_app()
    app.register_blueprint(module["bp"])
    client = app.test_client()
    people = {user.username: bearer(log_in(client, user)["access_token"]) for user in (ada, grace)}

    refused = client.get("/reports", headers=people["ada"])
    for command in commands.splitlines():
        result = app.test_cli_runner().invoke(args=command.split()[1:])
        assert result.exit_code == 0, result.output

    assert (refused.status_code, refused.json["code"]) == (403, "not_enough_permissions")
    assert client.get("/reports", headers=people["ada"]).json == {"items": []}
    assert client.get("/reports", headers=people["grace"]).status_code == 200


def test_the_example_that_extending_md_shows_works(
    settings: dict[str, str], tmp_path: Path
) -> None:
    page = "docs/extending.md"
    walk = steps(page)
    exported = next(block.text for block in blocks(page) if "export PYTHONPATH" in block.text)
    variables = dict(variable.split("=") for variable in WITH_NOTES)
    settings |= variables | {"PYTHONPATH": str(ROOT / variables["PYTHONPATH"])}
    flask("db", "upgrade", environment=environment_for(**settings))

    with serving(tmp_path / "log", **settings) as server:
        log_in_first = [step.command for step in steps("README.md")[:3]]
        printed = paste([*log_in_first, *(step.command for step in walk)], server)

    assert exported.splitlines() == [
        f"export {' '.join(WITH_NOTES)}",
        ".venv/bin/flask db upgrade",
        ".venv/bin/gunicorn wsgi:app",
    ]
    assert len(walk) == 2
    assert [masked(text) for text in printed[3:]] == [masked(step.shown) for step in walk]


def test_extending_md_shows_the_files_of_the_example() -> None:
    """All but the migration, which a command writes, and the tests, of which it shows some."""
    shown = {
        name[1]: block.text
        for block in blocks("docs/extending.md")
        if (name := re.search(r"^`(examples/[\w./]+)`:\n\n\Z", block.before, re.MULTILINE))
    }
    files = [*(ROOT / "examples" / "notes" / "notes").glob("*.py")]
    files += [
        ROOT / "examples" / "notes" / name for name in ("pyproject.toml", "tests/conftest.py")
    ]

    assert shown == {str(file.relative_to(ROOT)): file.read_text("utf-8") for file in files}


def test_the_list_that_extending_md_shows_is_searched_in_pages(
    new_app: Callable[..., Flask], monkeypatch: pytest.MonkeyPatch
) -> None:
    class OwnBase(DeclarativeBase):
        """The table is not among ours."""

    class ReadingList(OwnBase):
        __tablename__ = "shelf_list"
        id: Mapped[int] = mapped_column(primary_key=True)
        owner_id: Mapped[int]
        title: Mapped[str]

    stubs = {"shelf.models": {"ReadingList": ReadingList}, "shelf.names": {"READ": True}}
    for name, members in {"shelf": {}, **stubs}.items():
        monkeypatch.setitem(sys.modules, name, ModuleType(name))
        vars(sys.modules[name]).update(members)
    source = next(b.text for b in blocks("docs/extending.md") if "NEWEST_FIRST" in b.text)
    module: dict[str, Any] = {"__name__": "shelf.routes"}
    exec(source, module)  # what the page tells the reader to write

    with new_app().test_request_context():
        OwnBase.metadata.create_all(db.engine)
        rows = [(1, "A summer"), (1, "Winter"), (1, "100%"), (2, "Summer")]
        db.session.add_all(ReadingList(owner_id=owner, title=title) for owner, title in rows)
        db.session.commit()
        first = module["find"](1, limit=2)
        second = module["find"](1, limit=2, cursor=first.next_cursor)
        pages = [[row.title for row in one.items] for one in (first, second)]
        found = [[row.title for row in module["find"](1, limit=9, q=q).items] for q in ("SUM", "%")]
        with pytest.raises(ValidationFailed):
            module["find"](2, limit=2, cursor=first.next_cursor)
        db.session.remove()
        OwnBase.metadata.drop_all(db.engine)

    assert pages == [["100%", "Winter"], ["A summer"]]
    assert found == [["A summer"], ["100%"]]


def test_what_is_different_here_can_be_changed_for_one_route(
    new_app: Callable[..., Flask], ada: User
) -> None:
    source = next(b.text for b in blocks("docs/extending.md") if "SessionOfTheShop" in b.text)
    module: dict[str, Any] = {"__name__": "shop"}
    exec(source, module)  # what the page tells the reader to write
    shop = new_app()
    shop.register_blueprint(module["bp"])

    @shop.post("/other")
    def other() -> dict[str, int]:
        return {"bytes": len(request.get_data())}

    client = shop.test_client()
    program = bearer(log_in(client, ada)["access_token"])
    https = {"base_url": "https://localhost"}
    large = b"x" * (1024 * 1024)

    pages = [client.get("/shop/page", **https) for _ in range(2)]

    assert [page.text for page in pages] == ["<p>Visit 1</p>", "<p>Visit 2</p>"]
    assert pages[0].headers.getlist("Content-Security-Policy") == [
        "default-src 'none'; style-src 'self'; img-src 'self'"
    ]
    assert "Path=/shop/" in pages[0].headers["Set-Cookie"]
    assert client.post("/shop/pictures", data=large, headers=program).json == {"bytes": len(large)}
    assert client.get("/shop/report").json == {"users": 1}
    elsewhere = client.post("/other", data=large, headers=program, **https)
    assert problem(elsewhere) == (413, "body_too_large")
    assert elsewhere.headers["Content-Security-Policy"].startswith("default-src 'none'; frame-")
    assert "Set-Cookie" not in elsewhere.headers
