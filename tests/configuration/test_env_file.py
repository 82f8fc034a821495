""".env: what it may hold, and that nothing in it is lost or replaced."""

import os
import subprocess
from itertools import product
from pathlib import Path

import pytest

from configuration import env_file
from tests.checkouts import new_checkout
from tests.conftest import IS_LONG_RUN
from tests.servers import BIN, environment_for, free_port


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / ".env"


def read(path: Path, content: str | bytes) -> dict[str, str]:
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return env_file.read(path)


def flaw(path: Path, content: str | bytes) -> str:
    with pytest.raises(env_file.Unreadable) as refused:
        read(path, content)
    return str(refused.value)


@pytest.mark.parametrize(
    ("line", "value"),
    [
        ("A=b", "b"),
        ("A = b ", "b"),
        ("\tA=b", "b"),
        ("A=", ""),
        ("A=''", ""),
        ("export A=b", "b"),
        ("export\tA=b", "b"),
        ("A='b'", "b"),
        ('A="b"', "b"),
        ("A=' b '", " b "),
        ("A=b c", "b c"),
        ("A=b=c", "b=c"),
        ("A=${HOME}", "${HOME}"),
        ('A="${HOME}/x"', "${HOME}/x"),
        ("A=$HOME", "$HOME"),
        ("A=$(id)", "$(id)"),
        ("A=`id`", "`id`"),
        ("A=~/x", "~/x"),
        (r"A=b\nc", r"b\nc"),
        (r'A="b\nc"', r"b\nc"),
        (r"A='b\c'", r"b\c"),
        ("A='say \"b\"'", 'say "b"'),
        ('A="it\'s"', "it's"),
        ("A=it's", "it's"),
        ("A=b#c", "b#c"),
        ("A=#b", "#b"),
        ("A=b # why", "b"),
        ("A= # why", ""),
        ("A='b # c' # why", "b # c"),
        ("A=Bücher 书", "Bücher 书"),
        ("A=b\u2028c", "b\u2028c"),
        ("A=b\tc", "b\tc"),
        ("A=100%", "100%"),
    ],
)
def test_a_value_is_what_is_written(path: Path, line: str, value: str) -> None:
    assert read(path, f"{line}\n") == {"A": value}


@pytest.mark.parametrize("content", ["", "\n \n\t\n", "# A=b\n  # and so on", "\r\n"])
def test_comments_and_empty_lines_say_nothing(path: Path, content: str) -> None:
    assert read(path, content) == {}


@pytest.mark.parametrize("ending", ["\n", "\r\n"])
@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"], ids=["no mark", "byte order mark"])
def test_it_may_come_from_windows(path: Path, ending: str, mark: bytes) -> None:
    assert read(path, mark + f"A=b{ending}C='d'{ending}".encode()) == {"A": "b", "C": "d"}


def test_the_last_line_need_not_end(path: Path) -> None:
    assert read(path, "A=b\nC=d") == {"A": "b", "C": "d"}


UNREADABLE = {
    "a quote that is not closed": "A='b",
    "another that is not closed": 'A="b',
    "a quote that is closed some lines later": "A='b\nC=d\nE='f'",
    "only a quote": "A='",
    "something after the quote": "A='b'c",
    "a quote in the quotes": "A='it's'",
    "an escaped quote": r'A="b\"c"',
    "a comment without a space": "A='b'#c",
    "a name alone": "A",
    "an exported name alone": "export A",
    "a colon": "A: b",
    "a sentence": "this is my configuration",
    "an = alone": "=b",
    "a space in the name": "A B=c",
    "a minus in the name": "A-B=c",
    "a dot in the name": "a.b=c",
    "a digit in front": "1A=c",
    "quotes around the name": "'A'=b",
    "letters beyond ASCII": "Ä=b",
    "a space that is not one": "\u00a0A=b",
    "a mark inside": "\ufeff\ufeffA=b",
    "NUL": "A=b\0c",
    "an escape": "A=b\x1b[0mc",
    "an old Macintosh's lines": "A=b\rC=d",
    "Latin-1": "A=Bücher".encode("latin-1"),
    "Latin-1 in a comment": "# Bücher".encode("latin-1"),
    "cut in a character": "A=ü".encode()[:-1],
    "UTF-16 without a mark": "A=b\n".encode("utf-16-le"),
}


@pytest.mark.parametrize("content", UNREADABLE.values(), ids=UNREADABLE.keys())
def test_what_cannot_be_read_is_refused_and_its_line_is_named(
    path: Path, content: str | bytes
) -> None:
    encoded = content.encode() if isinstance(content, str) else content

    sentence = flaw(path, b"FIRST=1\n# two\n" + encoded)

    assert sentence.startswith(f"{path}, line 3: ")
    assert sentence.endswith(".")


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-be", "utf-32"])
def test_utf_16_and_utf_32_are_refused_in_line_1(path: Path, encoding: str) -> None:
    content = "A=b\nC=d\n".encode(encoding)

    assert flaw(path, content).startswith(f"{path}, line 1: ")


@pytest.mark.parametrize("again", ["A=c", "A=b", "A=", "export A='c'"])
def test_a_name_that_is_there_twice_is_refused_with_both_lines(path: Path, again: str) -> None:
    sentence = flaw(path, f"A=b\nC=d\n{again}\n")

    assert sentence == f"{path}, line 3: A is already set in line 1. Remove one."


def test_no_sentence_repeats_a_value(path: Path) -> None:
    for content in ("A='hunter2", "A='hunter2' x", "hunter2", "A=1\nA=hunter2", "A=hunter2\0"):
        assert "hunter2" not in flaw(path, content)


def test_there_need_not_be_a_file(path: Path) -> None:
    assert env_file.read(path) == {}


def test_a_folder_or_a_link_to_nowhere_is_refused(path: Path) -> None:
    path.symlink_to("nowhere")
    with pytest.raises(env_file.Unreadable, match="does not exist"):
        env_file.read(path)

    path.unlink()
    path.mkdir()
    with pytest.raises(env_file.Unreadable, match="is a folder"):
        env_file.read(path)


# Whatever starts reads it


def start(checkout: Path, *command: str | Path) -> subprocess.CompletedProcess[str]:
    """What the command does in the checkout, with no variable of ours but those of the file."""
    return subprocess.run(
        command,
        cwd=checkout,
        env=environment_for(PORT=str(free_port())),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


STARTS = {
    "flask": (BIN / "flask", "users", "list"),
    "flask db upgrade": (BIN / "flask", "db", "upgrade"),
    "gunicorn": (BIN / "gunicorn", "wsgi:app"),
    "make run": ("make", "-o", "install", "run"),
}
FLAWS = {
    "a quote": b"SECRET='0123456789\nAPP_ENV=production\n",
    "Latin-1": "BRAND='B\u00fccher'\nAPP_ENV=production\n".encode("latin-1"),
    "UTF-16": "A=b\nAPP_ENV=production\n".encode("utf-16"),
    "no =": b"this is it\nAPP_ENV=production\n",
}


@pytest.mark.parametrize(
    ("command", "flaw"),
    [*product(STARTS, FLAWS)] if IS_LONG_RUN else [("gunicorn", "a quote"), ("flask", "UTF-16")],
)
def test_what_cannot_be_read_stops_the_start_by_a_sentence(
    tmp_path: Path, command: str, flaw: str
) -> None:
    checkout = new_checkout(tmp_path)
    (checkout / ".env").write_bytes(FLAWS[flaw])

    done = start(checkout, *STARTS[command])

    assert done.returncode != 0
    assert f"Cannot start: {checkout / '.env'}, line 1: " in done.stderr
    assert "Traceback" not in done.stderr


def test_values_are_literal_for_commands_too(tmp_path: Path) -> None:
    checkout = new_checkout(tmp_path)
    (checkout / ".env").write_text("DATABASE_URL=sqlite:///${HOME}.db\n")

    done = start(checkout, BIN / "flask", "db", "upgrade")

    assert done.returncode == 0, done.stderr
    assert (checkout / "instance" / "${HOME}.db").is_file()
    assert "dotenv" not in done.stderr


def test_what_flask_read_from_the_same_file_does_not_count(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("dotenv")
    # As the command `flask` does where it was not told to leave the file alone.
    monkeypatch.setenv("FLASK_RUN_FROM_CLI", "true")
    monkeypatch.setenv("READ_BY_FLASK", "/root")

    assert env_file.with_process({"READ_BY_FLASK": "${HOME}", "PATH": "mine"}) == (
        dict(os.environ) | {"READ_BY_FLASK": "${HOME}"}
    )


def test_an_unknown_name_is_named_at_the_start_once_and_without_its_value(tmp_path: Path) -> None:
    checkout = new_checkout(tmp_path)
    (checkout / ".env").write_text("SHELF=hunter2\nMAIL_FORM=hunter2\n")

    done = start(checkout, BIN / "flask", "db", "upgrade")

    assert done.returncode == 0, done.stderr
    assert done.stderr.count("`MAIL_FORM` is not known; did you mean `MAIL_FROM`?") == 1
    assert done.stderr.count("`SHELF` in .env is not a setting. docs/settings.md lists the") == 1
    assert "hunter2" not in done.stderr + done.stdout
