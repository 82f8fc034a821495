"""Reserved names and what looks like them (UTS 39)."""

import unicodedata
from pathlib import Path

import pytest
from flask.testing import FlaskClient

from app.security import identifiers, lookalikes
from app.security.identifiers import RESERVED_USERNAMES, is_reserved
from tests.factories import API, PASSWORD, refused_fields

ALIKE = [
    "admın",  # dotless i
    "adm1n",
    "ADM1N",
    "admIn",
    "adrnin",
    "ᴀᴅᴍɪɴ",  # small capitals
    "ꜱᴜᴘᴘᴏʀᴛ",
    "ʀᴏᴏᴛ",
    "ꜱʏꜱᴛᴇᴍ",
    "ᴡᴡᴡ",
    "r00t",
    "ro0t",
    "R00T",
    "heIp",
    "he1p",
    "maiI",
    "rnail",
    "nu11",
    "adm1nistrator",  # one of the two
    "b1lling",
    "bi11ing",
    "rnoderator",
    "ɑdmin",  # Latin alpha
    "ɡuest",  # script g
    "ｒｏｏｔ",
    "арі",  # Cyrillic from here on
    "АРІ",
    "Арі",
    "ѕуѕтем",
]


@pytest.mark.parametrize("name", ALIKE)
def test_a_name_that_looks_reserved_is(name: str) -> None:
    assert is_reserved(unicodedata.normalize("NFC", name))


@pytest.mark.parametrize("name", ["admın", "ᴀᴅᴍɪɴ", "r00t", "арі", "ѕуѕтем", "АРІ"])
def test_nobody_registers_under_a_name_that_looks_reserved(client: FlaskClient, name: str) -> None:
    account = {"email": "a@example.com", "username": name, "password": PASSWORD}

    response = client.post(f"{API}/auth/register", json=account)

    assert refused_fields(response) == {"#/username": "username_reserved"}


@pytest.mark.parametrize(
    "name",
    [
        *("ada", "grace", "mall", "heip", "adam", "adminton", "rooter", "lnfrastructure", "apl"),
        *("maria", "müller", "josé", "иван", "админов", "тест", "γιώργος", "ديفيد", "李小龍"),
        *("ロボット", "김철수", "דוד", "อานนท์", "अमित", "roote", "user1", "team-blue", "a11y"),
    ],
)
def test_a_name_that_only_resembles_one_is_free(name: str) -> None:
    canonical = identifiers.canonical_username(name)

    assert not is_reserved(canonical)


@pytest.mark.parametrize("word", sorted(RESERVED_USERNAMES))
def test_a_reserved_word_looks_like_itself_in_any_case(word: str) -> None:
    for spelling in (word, word.upper(), word.title()):
        assert lookalikes.looks_like_any(spelling, RESERVED_USERNAMES)


def test_every_look_alike_in_the_table_is_one_letter_and_leads_to_ascii() -> None:
    prototypes = lookalikes._prototypes()

    assert len(prototypes) > 400
    assert all(text.isascii() and text.replace("-", "a").isalpha() for text in prototypes.values())


def test_a_look_settles_within_the_steps_there_are() -> None:
    for one in lookalikes._prototypes():
        settled = lookalikes._settled(chr(one))

        assert lookalikes._settled(settled) == settled


def test_the_table_says_where_it_comes_from() -> None:
    table = Path(lookalikes.__file__).with_name("lookalikes.txt").read_text(encoding="utf-8")

    assert "Unicode 17.0.0" in table
    assert "license" in table.lower()
