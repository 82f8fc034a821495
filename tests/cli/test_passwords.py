"""flask passwords build-breached"""

import hashlib
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result

from app import create_app, read_settings
from app.cli import passwords
from app.security.passwords import breached_list
from tests.cases import each
from tests.conftest import ENVIRONMENT

Run = Callable[..., Result]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Run ``flask passwords …``; no database is opened."""

    def run(*arguments: object, stdin: bytes = b"", **environment: object) -> Result:
        variables = ENVIRONMENT | {"DATABASE_URL": f"sqlite:///{tmp_path / 'never-opened.db'}"}
        given = {name: str(value) for name, value in environment.items()}
        app = create_app(read_settings(variables | given))
        words = ["passwords", *map(str, arguments)]
        return app.test_cli_runner().invoke(args=words, input=stdin)

    return run


@pytest.fixture
def dump(tmp_path: Path) -> Path:
    file = tmp_path / "dump.txt"
    file.write_text("password1\nshort\npassword2\n")
    return file


def has(file: Path, password: str) -> bool:
    return hashlib.sha1(password.encode()).digest() in breached_list.read(file)


def test_it_makes_a_list_and_says_how_to_use_it(run: Run, dump: Path, tmp_path: Path) -> None:
    output = tmp_path / "list.bin"

    done = run("build-breached", dump, "--output", output)

    assert done.exit_code == 0
    assert done.stdout == (
        f"Wrote 2 passwords to {output}, out of 3 lines. 1 lines were left out: "
        "rarer than --at-least, shorter than 8 or longer than 100 characters, or not in UTF-8.\n"
        f"To use the list in place of the one that ships, set PASSWORD_BREACHED_FILE={output}.\n"
        "PASSWORD_BREACHED is off here. Set it to local, or no list is used.\n"
    )
    assert has(output, "password1")


def test_it_reads_standard_input(run: Run, tmp_path: Path) -> None:
    done = run("build-breached", "-", "--output", tmp_path / "list.bin", stdin=b"password1\n")

    assert done.exit_code == 0
    assert has(tmp_path / "list.bin", "password1")


def test_without_an_output_it_replaces_the_list_that_is_in_use(
    run: Run, dump: Path, tmp_path: Path
) -> None:
    used = tmp_path / "used.bin"
    run("build-breached", dump, "--output", used)
    dump.write_text("password3\n")

    done = run("build-breached", dump, PASSWORD_BREACHED_FILE=used)

    assert done.stdout.startswith(f"Wrote 1 passwords to {used}")
    assert "To use the list" not in done.stdout
    assert has(used, "password3")


def test_without_any_it_writes_into_the_instance_folder(
    run: Run, dump: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(passwords, "INSTANCE", tmp_path / "instance")

    run("build-breached", dump)

    assert has(tmp_path / "instance/breached_passwords.bin", "password2")


def test_a_line_of_any_length_is_one_line(run: Run, tmp_path: Path) -> None:
    """Otherwise the pieces of a long line would count as passwords."""
    lines = b"x" * 10_000 + b"\npassword1\n" + b"y" * 4096 + b"\n" + b"z" * 4097
    done = run("build-breached", "-", "--output", tmp_path / "list.bin", stdin=lines)

    assert "Wrote 1 passwords" in done.stdout
    assert "out of 4 lines. 3 lines were left out" in done.stdout


def test_a_dump_that_cannot_be_used_is_refused_in_one_sentence(run: Run, tmp_path: Path) -> None:
    output = tmp_path / "list.bin"
    done = run("build-breached", "-", "--output", output, stdin=b"\x1f\x8b\x08\x00")

    assert done.exit_code == 1
    assert done.stderr == (
        "Error: The dump cannot be used. It is compressed, or not text. Unpack it first.\n"
    )
    assert not output.exists()


def test_a_folder_that_does_not_exist_is_refused_in_one_sentence(
    run: Run, dump: Path, tmp_path: Path
) -> None:
    done = run("build-breached", dump, "--output", tmp_path / "nowhere/list.bin")

    assert done.exit_code == 1
    assert len(done.stderr.splitlines()) == 1
    assert f"There is no folder {tmp_path / 'nowhere'}." in done.stderr


@each("line", [b"password1\n", b"7C4A8D09CA3762AF61E59520943DC26494F8941B\n"])
def test_a_least_count_is_refused_for_a_dump_without_counts(
    run: Run, tmp_path: Path, line: bytes
) -> None:
    output = tmp_path / "list.bin"
    done = run("build-breached", "-", "--at-least", "10", "--output", output, stdin=line)

    assert done.exit_code == 1
    assert "It has no counts" in done.stderr
    assert not output.exists()
