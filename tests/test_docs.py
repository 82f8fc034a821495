"""README, docs/ and .env.example say what the code does."""

import ast
import re
import stat
import subprocess
import tomllib
from collections.abc import Iterator
from importlib import import_module
from itertools import pairwise
from pathlib import Path
from types import FunctionType
from typing import Any, get_type_hints

import click
import pytest
from flask import Flask

from app import OPTIONAL, create_app, errors, read_settings
from app.mail import messages, wordings
from app.mail.content import Content
from app.pages.mailed_links import kinds
from app.version import VERSION
from docs import write_refusals
from tests.pages.routes import is_page, page_routes
from tests.servers import ROOT

PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").glob("*.md"))]


class Asked(dict[str, str]):
    """An environment that remembers which variables were looked for."""

    def __init__(self, variables: dict[str, str]) -> None:
        super().__init__(variables)
        self.names: set[str] = set()

    def get(self, name: str, default: Any = None) -> Any:
        self.names.add(name)
        return super().get(name, default)


def read_page(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def rows(page: str, heading: str) -> Iterator[list[str]]:
    """The cells of the first table whose head begins with ``heading``."""
    table = read_page(page).split(f"\n| {heading} ", 1)[1].split("\n\n", 1)[0]
    for line in table.splitlines()[2:]:
        yield [cell.strip() for cell in line.strip("|").split(" |")]


def in_backticks(text: str) -> list[str]:
    return re.findall(r"`([^`]+)`", text)


# Settings


def settings_that_are_read(instance: Path) -> set[str]:
    asked = Asked({})
    read_settings(asked, instance=instance)
    return asked.names


def examples() -> dict[str, str]:
    return dict(re.findall(r"^# ([A-Z_]+)=(.*)$", read_page(".env.example"), re.MULTILINE))


def test_every_setting_is_in_settings_md_and_no_other(tmp_path: Path) -> None:
    documented = [in_backticks(row[0])[0] for row in rows("docs/settings.md", "variable")]

    assert sorted(documented) == sorted(settings_that_are_read(tmp_path))


def test_every_setting_is_in_env_example_and_no_other(tmp_path: Path) -> None:
    assert sorted(examples()) == sorted(settings_that_are_read(tmp_path))


def test_env_example_sets_nothing_by_itself() -> None:
    lines = read_page(".env.example").splitlines()

    assert all(line.startswith("# ") or not line for line in lines)


def test_env_example_explains_each_setting_in_the_line_above() -> None:
    lines = read_page(".env.example").splitlines()
    unexplained = [
        line
        for above, line in pairwise(lines)
        if re.match(r"# [A-Z_]+=", line) and not re.match(r"# [A-Z].* .*\.$", above)
    ]

    assert not unexplained


def test_the_defaults_in_env_example_are_the_real_ones(tmp_path: Path) -> None:
    by_default = read_settings({}, instance=tmp_path)

    by_example = read_settings(examples(), instance=tmp_path)

    assert by_example.database_url.database == str(tmp_path / "app.db")
    assert by_example == by_default


def test_the_defaults_in_settings_md_are_those_of_env_example() -> None:
    documented = {
        in_backticks(name)[0]: default for name, default, *_ in rows("docs/settings.md", "variable")
    }

    for name, default in examples().items():
        if default:
            assert in_backticks(documented[name])[0] == default, name


def test_readmes_few_settings_exist(tmp_path: Path) -> None:
    few = {in_backticks(row[0])[0] for row in rows("README.md", "variable")}

    assert few <= settings_that_are_read(tmp_path)


# Routes


@pytest.fixture(scope="module")
def described_app(tmp_path_factory: pytest.TempPathFactory) -> Flask:
    """The application, to look at; nothing connects to its database."""
    return create_app(read_settings({}, instance=tmp_path_factory.mktemp("instance")))


def documented_calls() -> dict[str, str]:
    """Call → its refusals, as docs/api.md writes them."""
    return {in_backticks(row[0])[0]: row[4] for row in rows("docs/api.md", "call")}


def test_every_route_is_in_api_md_and_no_other(described_app: Flask) -> None:
    routes = [
        f"{method} {shortly(rule.rule)}"
        for rule in described_app.url_map.iter_rules()
        if not is_page(described_app, rule)
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
    ]

    assert sorted(documented_calls()) == sorted(routes)


def test_every_page_is_in_pages_md_and_no_other(described_app: Flask) -> None:
    documented = [in_backticks(row[0])[0] for row in rows("docs/pages.md", "page")]

    routes = [f"{method} {shortly(rule)}" for method, rule in page_routes(described_app)]
    assert sorted(documented) == sorted(routes)


def test_every_template_of_a_page_is_in_pages_md_with_its_blocks() -> None:
    documented = {
        in_backticks(name)[0]: set(in_backticks(blocks))
        for name, _, blocks in rows("docs/pages.md", "template")
    }

    folder = ROOT / "app" / "pages" / "templates"
    templates = {
        path.relative_to(folder).as_posix(): set(
            re.findall(r"{%-? block (\w+)", path.read_text(encoding="utf-8"))
        )
        for path in folder.rglob("*.html")
    }
    assert documented == templates


def shortly(rule: str) -> str:
    """``/users/<digits:user_id>`` as ``/users/{id}``."""
    return re.sub(r"<(?:[a-z]+:)?(?:[a-z]+_)?([a-z]+)>", r"{\1}", rule)


def test_the_refusals_in_api_md_are_those_of_the_openapi_document() -> None:
    page = read_page("docs/api.md")

    assert page == write_refusals.written(page, write_refusals.document()), "make api-docs"


def test_the_successes_in_api_md_are_those_of_the_openapi_document() -> None:
    documented = {in_backticks(row[0])[0]: row[3] for row in rows("docs/api.md", "call")}

    for call, operation in write_refusals.operations(write_refusals.document()):
        successes = {status for status in operation["responses"] if int(status) < 400}
        assert set(re.findall(r"\b(?:2\d\d|304)\b", documented[call])) == successes, call


# Errors


def every_error(base: type[errors.AppError] = errors.AppError) -> Iterator[type[errors.AppError]]:
    for error in base.__subclasses__():
        if error.__module__.startswith("app."):
            if hasattr(error, "code"):
                yield error
            yield from every_error(error)


def test_every_error_code_is_in_errors_md_with_its_status_and_no_other() -> None:
    documented = {in_backticks(row[1])[0]: int(row[0]) for row in rows("docs/errors.md", "status")}

    assert documented == {error.code: error.status for error in every_error()}


def test_every_field_code_is_in_errors_md_and_no_other() -> None:
    documented = [in_backticks(row[0])[0] for row in rows("docs/errors.md", "code")]

    # marshmallow itself says these two of any field.
    assert sorted(documented) == sorted({"required", "null", *field_codes()})


def field_codes() -> Iterator[str]:
    """The codes with which the sources make a ``Message``."""
    for source in (ROOT / "app").rglob("*.py"):
        for node in ast.walk(ast.parse(source.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and node.args:
                name = getattr(node.func, "id", getattr(node.func, "attr", ""))
                code = node.args[0]
                if name in ("Message", "InvalidUsername", "make_error") and isinstance(
                    code, ast.Constant
                ):
                    yield code.value


# Mails


def test_every_mail_is_in_mail_md_and_no_other() -> None:
    documented = [name for row in rows("docs/mail.md", "mail") for name in in_backticks(row[0])]

    of_core = [function for name, function in vars(messages).items() if not name.startswith("_")]
    of_features = [mail for feature in OPTIONAL for mail in feature.mails]
    assert sorted(documented) == sorted(
        wordings.name_of(function)
        for function in [*of_core, *of_features]
        if isinstance(function, FunctionType) and get_type_hints(function).get("return") is Content
    )


def test_every_page_behind_a_link_is_in_mail_md_with_a_call_that_exists() -> None:
    documented = {
        page: in_backticks(row[1])[0].split()[1]
        for row in rows("docs/mail.md", "page")
        for page in in_backticks(row[0])
    }

    assert sorted(documented) == sorted(kinds.PAGES)
    for call in documented.values():
        assert f"POST /api/v1/auth/{call}" in documented_calls()


def test_every_template_of_mails_is_in_branding_md_with_its_blocks() -> None:
    documented = {
        in_backticks(row[0])[0]: in_backticks(row[2])
        for row in rows("docs/branding.md", "template")
    }

    folder = ROOT / "app" / "mail" / "templates"
    assert documented == {
        file.name: re.findall(r"{%-? block (\w+)", file.read_text()) for file in folder.iterdir()
    }


# Pages


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_internal_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text(encoding="utf-8")):
        if target.startswith(("http://", "https://")):
            continue
        path, _, anchor = target.partition("#")
        linked = (page.parent / path).resolve() if path else page
        assert linked.is_file(), target
        if anchor:
            assert anchor in anchors(linked), target


def anchors(page: Path) -> set[str]:
    """The headings of a page as fragments, the way GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_files_that_are_mentioned_exist(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    to_be_made_by_the_reader = set(re.findall(r"`([\w./]+)`:\n\n```python", text))
    to_be_made_by_the_reader |= set(re.findall(r"This is all of `([\w./]+)`", text))
    prose = re.sub(r"^```.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL)
    folders = "app|docs|tests|migrations|benchmarks|deploy|examples"
    of_ours = rf"(?:{folders})/[\w./-]*|[\w.-]+\.(?:py|md|toml|txt|in)|\.env\.example|Makefile"
    mentioned = {word for word in in_backticks(prose) if re.fullmatch(of_ours, word)}

    # Templates are called by the names that they have in their folder.
    folders_of_files = (ROOT, page.parent, ROOT / "app" / "mail" / "templates")
    missing = {
        name
        for name in mentioned - to_be_made_by_the_reader
        if not any(list(folder.glob(name)) for folder in folders_of_files)
    }
    assert not missing


def test_architecture_md_shows_every_folder_of_app_and_no_other() -> None:
    shown = {
        name for row in rows("docs/architecture.md", "folder") for name in in_backticks(row[0])
    }

    existing = {
        path.relative_to(ROOT).as_posix() + "/" * path.is_dir()
        for path in (ROOT / "app").iterdir()
        if path.suffix == ".py" or path.is_dir()
    }
    assert shown == existing - {"app/__pycache__/", "app/translations/"}


# The extensions of Flask bring these.
OF_LIBRARIES = ("flask db ", "flask openapi ")


def commands_of(group: click.Group, path: str) -> Iterator[str]:
    for name, command in group.commands.items():
        if isinstance(command, click.Group):
            yield from commands_of(command, f"{path} {name}")
        else:
            yield f"{path} {name}"


def test_every_command_of_ours_is_in_a_page(described_app: Flask) -> None:
    lines = [line for page in PAGES for line in page.read_text(encoding="utf-8").splitlines()]

    silent = []
    for command in commands_of(described_app.cli, "flask"):
        group, _, name = command.rpartition(" ")
        written = re.compile(rf"{group} ([a-z-]+ \| )*{name}\b")
        if not command.startswith(OF_LIBRARIES) and not any(map(written.search, lines)):
            silent.append(command)

    assert silent == []


def test_the_changelog_has_an_entry_for_this_version() -> None:
    heading = rf"^## {re.escape(VERSION)} – [0-9]{{4}}-[0-9]{{2}}-[0-9]{{2}}$\n\n.+"

    assert re.search(heading, read_page("CHANGELOG.md"), re.MULTILINE)


def test_pyproject_takes_the_version_from_its_one_place() -> None:
    declared = tomllib.loads(read_page("pyproject.toml"))

    assert "version" in declared["project"]["dynamic"]
    module, _, name = declared["tool"]["setuptools"]["dynamic"]["version"]["attr"].rpartition(".")
    assert getattr(import_module(module), name) == VERSION


def test_every_target_of_make_has_its_sentence_and_those_that_the_pages_name_exist() -> None:
    targets = dict(re.findall(r"^([a-z-]+):.*?(?:## (.+))?$", read_page("Makefile"), re.MULTILINE))
    named = {
        target
        for page in PAGES
        for target in re.findall(r"`make ([a-z-]+)`", page.read_text(encoding="utf-8"))
    }

    assert all(targets.values())
    assert named <= targets.keys()


# Secrets in files


@pytest.mark.parametrize("before", [None, 0o644])
def test_the_documented_way_to_make_the_file_of_secrets_keeps_it_private(
    tmp_path: Path, before: int | None
) -> None:
    file = tmp_path / ".env"
    if before:
        file.touch(before)
    page = read_page("docs/deploying.md")
    blocks = re.findall(r"^```\w*\n(.*?)^```", page, re.DOTALL | re.MULTILINE)
    (block,) = (block for block in blocks if ">> .env" in block)
    commands = "".join(line for line in block.splitlines(True) if not line.startswith("docker"))

    subprocess.run(["sh", "-euc", "umask 022\n" + commands], cwd=tmp_path, check=True)

    assert stat.filemode(file.stat().st_mode) == "-rw-------"
    assert file.read_text().count("SECRET_KEY=") == 1


def test_no_page_copies_the_example_of_secrets_into_a_readable_file() -> None:
    for page in ["README.md", "docs/settings.md", ".env.example"]:
        assert "install -m 600 .env.example .env" in read_page(page)
        assert "cp .env.example" not in read_page(page)


def test_the_gate_tests_the_newest_python_too_and_a_page_says_which(tmp_path: Path) -> None:
    gate = read_page(".ci/run").splitlines()

    assert [line for line in gate if line.startswith("make ")] == [
        *("make check", "make test"),
        *("make test-browser", "make test-newest"),
    ]
    page = " ".join(read_page("docs/architecture.md").split())
    assert "Python 3.11, and its parts on the worker, tokens, logs and login on the newest" in page


@pytest.mark.parametrize(("minor", "found"), [(12, True), (99, True), (0, False)])
def test_the_newest_python_is_one_that_works_and_is_newer(
    tmp_path: Path, minor: int, found: bool
) -> None:
    """Stand-ins for interpreters: one that works, and a shim that fails."""
    bin_of_version = tmp_path / "versions" / "some" / "bin"
    bin_of_version.mkdir(parents=True)
    python, shim = bin_of_version / "python3", tmp_path / "python3.20"
    python.write_text(f"#!/bin/sh\necho 3 {minor}\n")
    shim.write_text("#!/bin/sh\nexit 127\n")
    for program in (python, shim):
        program.chmod(0o755)
    checkout = tmp_path / "checkout"
    (checkout / ".ci").mkdir(parents=True)
    (checkout / ".venv" / "bin").mkdir(parents=True)
    own = checkout / ".venv" / "bin" / "python"
    own.write_text("#!/bin/sh\necho 3 11\n")
    own.chmod(0o755)
    script = checkout / ".ci" / "newest-python"
    script.write_text(read_page(".ci/newest-python"))

    printed = subprocess.run(
        ["bash", script],
        env={"PATH": f"{tmp_path}:/usr/bin:/bin", "PYENV_ROOT": str(tmp_path)},
        capture_output=True,
        text=True,
        check=True,
    ).stdout.strip()

    system = {line for line in (printed,) if line.startswith(("/usr/", "/bin/"))}
    assert printed == (str(python) if found else "") or system
