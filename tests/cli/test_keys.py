"""flask keys generate, list and retire"""

import json
import os
import re
import stat
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest
import time_machine
from click.testing import Result
from cryptography.hazmat.primitives import serialization

from app import create_app, read_settings
from app.security import signing_keys
from tests.conftest import ENVIRONMENT

Flask = Callable[..., Result]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "keys"


@pytest.fixture
def flask(tmp_path: Path) -> Flask:
    """Run ``flask keys …`` with these variables in the environment; no database is opened."""

    def run(*arguments: object, **environment: object) -> Result:
        variables = ENVIRONMENT | {"DATABASE_URL": f"sqlite:///{tmp_path / 'never-opened.db'}"}
        given = {name: str(value) for name, value in environment.items()}
        app = create_app(read_settings(variables | given))
        return app.test_cli_runner().invoke(args=["keys", *map(str, arguments)])

    return run


@pytest.fixture
def noon() -> Iterator[None]:
    with time_machine.travel("2026-11-22T12:00:00Z", tick=False):
        yield


def make(flask: Flask, folder: Path, key_id: str, algorithm: str = "EdDSA") -> Result:
    made = flask("generate", "--id", key_id, "--algorithm", algorithm, "--directory", folder)
    assert made.exit_code == 0, made.output
    return made


def signing_with(folder: Path, key_id: str, algorithm: str = "EdDSA") -> dict[str, str]:
    return {"ALGORITHM": algorithm, "SIGNING_KEYS_DIR": str(folder), "SIGNING_KEY_ID": key_id}


def refused(result: Result) -> str:
    """What a command that failed in order says; no traceback."""
    assert isinstance(result.exception, SystemExit), result.exception
    assert result.exit_code in (1, 2)
    assert "Traceback" not in result.output
    return result.output


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


# generate


@pytest.mark.parametrize("algorithm", ["ES256", "RS256", "EdDSA"])
def test_a_key_is_made_readable_by_its_owner_alone(
    flask: Flask, folder: Path, algorithm: str
) -> None:
    before = os.umask(0)
    try:
        made = make(flask, folder, "one", algorithm)
    finally:
        os.umask(before)

    path = folder / "one.pem"
    assert mode_of(path) == 0o600
    assert mode_of(folder) == 0o700
    assert str(path) in made.output
    assert algorithm in made.output
    (key,) = signing_keys.read_all(folder)
    assert (key.id, key.algorithm) == ("one", algorithm)
    assert key.private


def test_an_rsa_key_has_at_least_3072_bits(flask: Flask, folder: Path) -> None:
    make(flask, folder, "one", "RS256")

    private = serialization.load_pem_private_key((folder / "one.pem").read_bytes(), None)

    assert private.key_size >= 3072


def test_the_private_key_is_not_printed(flask: Flask, folder: Path) -> None:
    made = make(flask, folder, "one")

    assert "PRIVATE" not in made.output


def test_an_application_starts_with_a_key_just_made(flask: Flask, folder: Path) -> None:
    make(flask, folder, "one")

    listed = flask("list", **signing_with(folder, "one"))

    assert listed.exit_code == 0
    assert re.search(r"^one +EdDSA +signs$", listed.output, re.MULTILINE)


def test_a_second_key_of_the_same_id_is_refused_and_the_first_one_kept(
    flask: Flask, folder: Path
) -> None:
    make(flask, folder, "one")
    before = (folder / "one.pem").read_bytes()

    again = flask("generate", "--id", "one", "--algorithm", "EdDSA", "--directory", folder)

    assert "The key one exists already." in refused(again)
    assert (folder / "one.pem").read_bytes() == before


def test_the_id_of_a_retired_key_is_refused(flask: Flask, folder: Path) -> None:
    make(flask, folder, "one")
    flask("retire", "one", "--directory", folder)

    again = flask("generate", "--id", "one", "--algorithm", "EdDSA", "--directory", folder)

    assert "The key one exists already." in refused(again)
    assert not (folder / "one.pem").exists()


@pytest.mark.usefixtures("noon")
def test_without_an_id_a_key_is_called_by_its_date(flask: Flask, folder: Path) -> None:
    flask("generate", "--algorithm", "EdDSA", "--directory", folder)
    flask("generate", "--algorithm", "EdDSA", "--directory", folder)

    names = [path.name for path in folder.iterdir()]

    assert len(names) == 2
    assert all(re.fullmatch(r"2026-11-22-[0-9a-f]{4}\.pem", name) for name in names)


def test_folder_and_algorithm_are_those_of_the_settings(flask: Flask, folder: Path) -> None:
    make(flask, folder, "one", "ES256")

    made = flask("generate", "--id", "two", **signing_with(folder, "one", "ES256"))

    assert made.exit_code == 0
    assert {key.id: key.algorithm for key in signing_keys.read_all(folder)} == {
        "one": "ES256",
        "two": "ES256",
    }


@pytest.mark.parametrize(
    "key_id", ["../one", "/tmp/one", "a b", "a.b", "x" * 65, "ключ", "one.until-1"]
)
def test_an_id_that_is_none_is_refused_and_makes_no_file(
    flask: Flask, folder: Path, key_id: str
) -> None:
    folder.mkdir()

    result = flask("generate", f"--id={key_id}", "--algorithm=EdDSA", "--directory", folder)

    assert "letters, digits, _ and -" in refused(result)
    assert list(folder.parent.rglob("*.pem")) == []


def test_an_algorithm_must_be_said_while_signing_is_symmetric(flask: Flask, folder: Path) -> None:
    result = flask("generate", "--id", "one", "--directory", folder)

    assert "--algorithm" in refused(result)
    assert not (folder / "one.pem").exists()


@pytest.mark.parametrize("algorithm", ["HS256", "none", "ES384", "es256"])
def test_other_algorithms_are_refused(flask: Flask, folder: Path, algorithm: str) -> None:
    result = flask("generate", "--algorithm", algorithm, "--directory", folder)

    assert "ES256" in refused(result)


@pytest.mark.parametrize("command", ["generate --algorithm EdDSA", "list", "retire one"])
def test_a_folder_must_be_said_where_the_settings_name_none(flask: Flask, command: str) -> None:
    result = flask(*command.split())

    assert "SIGNING_KEYS_DIR" in refused(result)


def test_a_file_in_place_of_the_folder_is_refused(flask: Flask, folder: Path) -> None:
    folder.write_text("a file")

    result = flask("generate", "--algorithm", "EdDSA", "--directory", folder)

    refused(result)


# list


@pytest.mark.usefixtures("noon")
def test_the_list_says_which_key_signs_which_waits_and_which_is_retired(
    flask: Flask, folder: Path
) -> None:
    for key_id in ("old", "present", "future"):
        make(flask, folder, key_id)
    flask("retire", "old", **signing_with(folder, "present"))

    listed = flask("list", **signing_with(folder, "present"))

    lines = [re.split(r" {2,}", line) for line in listed.output.splitlines()]
    assert lines == [
        ["ID", "ALGORITHM", "STATE"],
        ["future", "EdDSA", "waits, verifies"],
        ["old", "EdDSA", "retired, verifies until 2026-12-06 12:01 UTC"],
        ["present", "EdDSA", "signs"],
    ]


def test_the_list_says_when_a_retired_key_is_of_no_use(flask: Flask, folder: Path) -> None:
    with time_machine.travel("2026-11-22T12:00:00Z", tick=False) as time:
        make(flask, folder, "old")
        flask("retire", "old", "--directory", folder)
        time.shift(timedelta(days=15))

        listed = flask("list", "--directory", folder)

    assert "retired, of no use since 2026-12-06 12:01 UTC" in listed.output


def test_the_list_as_json_is_for_scripts(flask: Flask, folder: Path) -> None:
    make(flask, folder, "one", "ES256")
    make(flask, folder, "two", "ES256")

    listed = flask("list", "--json", **signing_with(folder, "two", "ES256"))

    assert json.loads(listed.output) == [
        {"id": "one", "algorithm": "ES256", "state": "waits, verifies"},
        {"id": "two", "algorithm": "ES256", "state": "signs"},
    ]


def test_the_list_of_an_empty_folder_is_empty(flask: Flask, folder: Path) -> None:
    folder.mkdir()

    listed = flask("list", "--json", "--directory", folder)

    assert (listed.exit_code, json.loads(listed.output)) == (0, [])


@pytest.mark.parametrize("command", ["list", "retire one"])
def test_a_broken_file_is_named(flask: Flask, folder: Path, command: str) -> None:
    make(flask, folder, "one")
    (folder / "broken.pem").write_text("no key")

    result = flask(*command.split(), "--directory", folder)

    assert "broken.pem" in refused(result)
    assert (folder / "one.pem").exists()


def test_a_folder_in_place_of_a_key_is_named(flask: Flask, folder: Path) -> None:
    (folder / "odd.pem").mkdir(parents=True)

    result = flask("list", "--directory", folder)

    assert "odd.pem" in refused(result)


# retire


@pytest.mark.usefixtures("noon")
def test_retiring_destroys_the_private_half_and_keeps_the_public_one(
    flask: Flask, folder: Path
) -> None:
    make(flask, folder, "old")
    make(flask, folder, "new")
    public = signing_keys.read_all(folder)[1].public

    retired = flask("retire", "old", **signing_with(folder, "new"))

    assert retired.exit_code == 0
    assert "2026-12-06 12:01 UTC" in retired.output
    (path,) = folder.glob("old*")
    assert path.name == "old.until-1796558460.pem"
    assert b"PRIVATE" not in path.read_bytes()
    assert mode_of(path) & 0o077 == 0
    (key,) = [key for key in signing_keys.read_all(folder) if key.id == "old"]
    assert key.private is None
    assert key.public == public


def test_the_key_that_signs_is_not_retired(flask: Flask, folder: Path) -> None:
    make(flask, folder, "one")

    result = flask("retire", "one", **signing_with(folder, "one"))

    assert "SIGNING_KEY_ID" in refused(result)
    assert (folder / "one.pem").exists()


def test_a_key_that_is_not_there_is_not_retired(flask: Flask, folder: Path) -> None:
    make(flask, folder, "one")

    result = flask("retire", "two", "--directory", folder)

    assert "There is no private key two." in refused(result)


def test_a_key_is_retired_once(flask: Flask, folder: Path) -> None:
    make(flask, folder, "one")
    flask("retire", "one", "--directory", folder)
    (before,) = folder.iterdir()

    result = flask("retire", "one", "--directory", folder)

    assert "There is no private key one." in refused(result)
    assert list(folder.iterdir()) == [before]


def test_a_path_in_place_of_an_id_is_not_retired(flask: Flask, folder: Path) -> None:
    make(flask, folder, "one")

    result = flask("retire", "../keys/one", "--directory", folder)

    assert "There is no private key" in refused(result)
    assert (folder / "one.pem").exists()


# help


@pytest.mark.parametrize(
    ("command", "lessons"),
    [
        ("", ["generate", "list", "retire"]),
        ("generate", ["SIGNING_KEY_ID", "--algorithm", "--directory", "five minutes", "restart"]),
        ("list", ["signs", "--json"]),
        ("retire", ["private half", "SIGNING_KEY_ID", "every host"]),
    ],
)
def test_the_help_teaches(flask: Flask, command: str, lessons: list[str]) -> None:
    result = flask(*command.split(), "--help")

    assert result.exit_code == 0
    words = " ".join(result.output.split())
    for lesson in lessons:
        assert lesson in words


def test_the_help_shows_how_the_first_key_is_made(flask: Flask) -> None:
    result = flask("generate", "--help")

    assert "flask keys generate --algorithm ES256 --directory keys" in result.output
