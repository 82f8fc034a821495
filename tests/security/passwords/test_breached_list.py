"""The file of breached passwords: the one that ships, damaged ones, and making one."""

import hashlib
import random
import re
import string
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from app.security.passwords import breached_list, breached_list_making
from app.security.passwords.breached_list import HEADER, SHIPPED, UnfitList
from app.security.passwords.breached_list_making import UnfitDump
from tests.servers import ROOT


def digest(password: str) -> bytes:
    return hashlib.sha1(password.encode(), usedforsecurity=False).digest()


Make = Callable[..., Path]


@pytest.fixture
def make(tmp_path: Path) -> Make:
    def run(*lines: bytes, **options: int) -> Path:
        output = tmp_path / "breached.bin"
        breached_list_making.make(
            [line + b"\n" for line in lines], output, tell=lambda _: None, **options
        )
        return output

    return run


# The list that ships


def test_the_list_that_ships_has_enough_entries_in_order_each_once() -> None:
    content = SHIPPED.read_bytes()
    entries = [content[start : start + 8] for start in range(8, len(content), 8)]

    assert len(breached_list.read(SHIPPED)) == len(entries) >= 500_000
    assert sorted(set(entries)) == entries


@pytest.mark.parametrize(
    "password", ["password1", "qwerty123456", "trustno1bsnide01", "Password1", "PASSWORD1"]
)
def test_passwords_that_attackers_know_are_in_it(password: str) -> None:
    assert digest(password) in breached_list.read(SHIPPED)


def test_every_common_password_of_today_is_in_it_in_the_case_that_people_type() -> None:
    common = (ROOT / "app/security/passwords/common_passwords.txt").read_text().splitlines()
    shipped = breached_list.read(SHIPPED)
    missing = [word for word in common if digest(word) not in shipped]

    assert len(missing) < len(common) / 100


def test_no_random_password_is_in_it() -> None:
    shipped = breached_list.read(SHIPPED)
    generator = random.Random(17)
    letters = string.ascii_letters + string.digits

    found = [
        password
        for _ in range(100_000)
        if digest(password := "".join(generator.choices(letters, k=12))) in shipped
    ]

    assert found == []


def test_the_notice_says_how_many_entries_the_list_has_and_whose_they_are() -> None:
    notice = SHIPPED.with_name("breached_passwords.LICENSE").read_text()
    documented = (ROOT / "docs/security.md").read_text()

    for package in re.findall(r"\S+[@=]=?[0-9.]+\d", (ROOT / "Makefile").read_text()):
        if "password" in package or "zxcvbn-ts" in package:
            assert package.replace("==", "@").rpartition("@")[0] in notice
    assert f"{len(breached_list.read(SHIPPED)):,} entries" in documented
    assert "Permission is hereby granted, free of charge" in notice


# Files that are not one


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "that `flask passwords build-breached` made"),
        (b"password1\n", "that `flask passwords build-breached` made"),
        (HEADER, "is empty or damaged"),
        (HEADER + b"1234567", "is empty or damaged"),
        (HEADER + b"1" * 8 + b"2" * 7, "is empty or damaged"),
        (HEADER + b"2" * 8 + b"1" * 8, "is empty or damaged"),
    ],
)
def test_a_file_that_is_no_list_is_refused(content: bytes, reason: str, tmp_path: Path) -> None:
    file = tmp_path / "list"
    file.write_bytes(content)

    with pytest.raises(UnfitList, match=reason):
        breached_list.read(file)


@pytest.mark.parametrize("count", [1, 2, 3, 100, 1000])
def test_each_entry_is_found_and_nothing_else(count: int, make: Make) -> None:
    inside = [f"password {number}" for number in range(count)]
    outside = [f"passwort {number}" for number in range(count)]
    made = breached_list.read(make(*(word.encode() for word in inside)))

    assert len(made) == count
    assert [word for word in inside if digest(word) not in made] == []
    assert [word for word in outside if digest(word) in made] == []
    assert b"\0" * 20 not in made
    assert b"\xff" * 20 not in made
    assert list(made[:2]) == sorted(made)[:2]


# Making one


def test_a_dump_of_plain_passwords(make: Make) -> None:
    made = breached_list.read(
        make(b"password1", b"pass word 2\r", b"  spaces  ", b"password1", "Pässwörd".encode())
    )

    assert len(made) == 4
    for password in ("password1", "pass word 2", "  spaces  ", "Pässwörd"):
        assert digest(password) in made


def test_passwords_are_taken_as_people_type_them_here(make: Make) -> None:
    """A password is counted and hashed in NFC, and its case is kept."""
    made = breached_list.read(make("Pa\u0308sswort".encode()))

    assert digest("P\u00e4sswort") in made
    assert digest("p\u00e4sswort") not in made


def test_a_dump_of_have_i_been_pwned(make: Make) -> None:
    often, seldom, padding = (digest(word).hex() for word in ("one", "two", "three"))
    lines = [f"{often.upper()}:42", f"{seldom}:2", f"{padding}:0"]
    made = breached_list.read(make(*(line.encode() for line in lines)))

    assert len(made) == 2
    assert digest("one") in made
    assert digest("two") in made


def test_hashes_that_were_stolen_seldom_can_be_left_out(make: Make) -> None:
    lines = [f"{digest(word).hex()}:{count}".encode() for word, count in (("one", 9), ("two", 10))]
    made = breached_list.read(make(*lines, at_least=10))

    assert len(made) == 1
    assert digest("two") in made


def test_hashes_may_have_no_counts(make: Make) -> None:
    assert digest("one") in breached_list.read(make(digest("one").hex().encode()))


@pytest.mark.parametrize(
    "line",
    [b"seven77", b"x" * 101, b"", b"caf\xe9 caf\xe9 caf\xe9", b"x" * 5000],
    ids=["short", "long", "empty", "not UTF-8", "very long"],
)
def test_what_nobody_can_have_is_left_out(line: bytes, make: Make) -> None:
    assert len(breached_list.read(make(b"password1", line, b"password2"))) == 2


@pytest.mark.parametrize(
    ("lines", "reason"),
    [
        ([], "No line of it"),
        ([b"short"], "No line of it"),
        ([b"\x1f\x8b\x08\x00"], "Unpack it first"),
        ([b"PK\x03\x04"], "Unpack it first"),
        ([b"pass\0word"], "Unpack it first"),
        ([HEADER + b"12345678"], "not text"),
        ([b"0123456789abcdef0123456789ABCDEF:5"], "NTLM"),
        ([b"a" * 40 + b":1", b"password1"], "Line 2 is not a SHA-1"),
        ([b"a" * 40 + b":1", b"b" * 40 + b":one"], "Line 2 is not a SHA-1"),
        ([b"a" * 40 + b":1", b"c" * 39 + b":1"], "Line 2 is not a SHA-1"),
    ],
)
def test_a_dump_that_cannot_be_read_is_refused_and_the_older_list_stays(
    lines: list[bytes], reason: str, make: Make
) -> None:
    output = make(b"password1")
    before = output.read_bytes()

    with pytest.raises(UnfitDump, match=reason):
        make(*lines)

    assert output.read_bytes() == before
    assert list(output.parent.iterdir()) == [output]


def test_the_older_list_stays_in_use_while_a_new_one_is_made(make: Make) -> None:
    older = breached_list.read(make(b"password1"))
    make(b"password2")

    assert digest("password1") in older


def test_a_dump_that_does_not_fit_into_memory_goes_through_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(breached_list_making, "MAX_WAITING_BYTES", 64 * 1024)
    generator = random.Random(17)
    hashes = [generator.randbytes(20) for _ in range(20_000)]
    lines = (one.hex().encode() + b"\n" for one in (*hashes, *hashes[:5000]))

    made = breached_list_making.make(lines, tmp_path / "list", tell=lambda _: None)

    assert made.entries == 20_000
    assert list(breached_list.read(tmp_path / "list")) == sorted(one[:8] for one in hashes)


def test_memory_does_not_grow_with_the_dump(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(breached_list_making, "MAX_WAITING_BYTES", 64 * 1024)

    def lines(count: int) -> Iterator[bytes]:
        generator = random.Random(17)
        return (generator.randbytes(20).hex().encode() + b"\n" for _ in range(count))

    def peak(count: int) -> int:
        tracemalloc.start()
        breached_list_making.make(lines(count), tmp_path / "list", tell=lambda _: None)
        _, highest = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return highest

    # Now and then Python moves its table of all interned strings into a new one, which can take
    # more than all of ours. It does not happen in each of three runs.
    few, many = (min(peak(count) for _ in range(3)) for count in (20_000, 80_000))

    assert many < few * 1.5


def test_progress_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(breached_list_making, "PROGRESS_EVERY", 2)
    told: list[int] = []
    lines = [f"password{number}\n".encode() for number in range(5)]

    breached_list_making.make(lines, tmp_path / "list", tell=told.append)

    assert told == [2, 4]


def test_everybody_may_read_the_list(make: Make) -> None:
    assert make(b"password1").stat().st_mode & 0o777 == 0o644
