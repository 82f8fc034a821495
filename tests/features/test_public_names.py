"""A feature imports only what docs/extending.md lists, and the examples do as it says."""

import ast
import importlib
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.servers import ROOT, environment_for

PAGE = ROOT / "docs" / "extending.md"
OURS = ("app", "config", "configuration")
EXAMPLES = ("notes", "screenplays")


def public() -> dict[str, set[str]]:
    """The names by their modules."""
    section = PAGE.read_text("utf-8").partition("\n## Public names\n")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| `([\w.]+)` \| (.+) \|$", section, re.MULTILINE)
    return {module: set(re.findall(r"`(\w+)`", names)) for module, names in rows}


def used(source: str) -> Iterator[tuple[str, str]]:
    """Our modules that the source imports, with each name that it uses of them."""
    tree = ast.parse(source)
    modules: dict[str, str] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            named = [alias.name for alias in node.names if alias.name.split(".")[0] in OURS]
            yield from ((name, "(imported as a whole)") for name in named)
        if not isinstance(node, ast.ImportFrom) or (node.module or "").split(".")[0] not in OURS:
            continue
        for alias in node.names:
            whole = f"{node.module}.{alias.name}"
            if is_module(whole):
                modules[alias.asname or alias.name] = whole
            else:
                yield str(node.module), alias.name
    for node in ast.walk(tree):
        is_of_name = isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name)
        if is_of_name and node.value.id in modules:
            yield modules[node.value.id], node.attr


def is_module(name: str) -> bool:
    parent, _, last = name.rpartition(".")
    if parent in ("config", "configuration") or parent.count(".") > 4:
        return False
    folder = ROOT.joinpath(*parent.split("."))
    return (folder / f"{last}.py").is_file() or (folder / last / "__init__.py").is_file()


def sources() -> Iterator[tuple[str, str]]:
    for example in EXAMPLES:
        for file in sorted((ROOT / "examples" / example).rglob("*.py")):
            yield str(file.relative_to(ROOT)), file.read_text("utf-8")
    blocks = re.findall(r"^```python\n(.*?)^```$", PAGE.read_text("utf-8"), re.M | re.S)
    yield from ((f"a block of {PAGE.name}", block.replace("…", "...")) for block in blocks)


def test_a_feature_needs_the_public_names_alone() -> None:
    listed = public()

    others = sorted(
        {
            f"{module}: {name} ({place})"
            for place, source in sources()
            for module, name in used(source)
            if name not in listed.get(module, set())
        }
    )

    assert others == []


def test_each_public_name_is_there() -> None:
    missing = [
        f"{module}: {name}"
        for module, names in public().items()
        for name in names
        if not hasattr(importlib.import_module(module), name)
    ]

    assert missing == []


@pytest.mark.timeout(300)
def test_the_screenplays_work_with_our_fixtures() -> None:
    """A few of their own tests, on SQLite. ``tests/test_examples.py`` runs all, on both."""
    example = ROOT / "examples" / "screenplays"
    options = ["-q", "-W", "error", "-p", "no:cacheprovider", "-n", "0"]
    telling = (
        "test_pdf or sqlite and (row or two_editors or address_accepts or recorded or conflict)"
    )

    done = subprocess.run(
        [sys.executable, "-m", "pytest", *options, "-k", telling, "tests"],
        cwd=Path(example),
        env=environment_for(PYTHONPATH=f"{ROOT}:{example}"),
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )

    assert done.returncode == 0, done.stdout + done.stderr
    assert " passed" in done.stdout
