"""One canonical form of an address and of a username, however they are written."""

import unicodedata
from typing import Any

import pytest
from flask.testing import FlaskClient
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from werkzeug.test import TestResponse

from app.security import identifiers
from app.security.identifiers import (
    InvalidEmail,
    InvalidUsername,
    canonical_email,
    canonical_username,
    username_key,
)
from tests.cases import each
from tests.factories import API, PASSWORD, refused_fields

thoroughly = settings(max_examples=200, deadline=None, database=None)

ATEXT = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789!#$%&'*+-/=?^_`{|}~"
# As people write them: accents, both sigmas, ligatures, full width, the Kelvin sign, ı and İ.
LETTERS = "abcXYZ019äéßñøæœıİſﬁＡｂ９ª\u212a\u0301\u0308"
DOMAIN_LETTERS = "abzABZ09-äßéÉøſ\u212aａΣσςжЖ例え"

# Control, format, surrogate and private characters, and separators.
UNSEEN = {"Cc", "Cf", "Cs", "Co", "Zl", "Zp", "Zs"}

local_parts = st.lists(st.text(ATEXT, min_size=1, max_size=12), min_size=1, max_size=3).map(
    ".".join
)
labels = st.text(DOMAIN_LETTERS, min_size=1, max_size=12)
domains = st.tuples(labels, st.sampled_from(["com", "ORG", "co.uk", "рф", "例え"])).map(".".join)
addresses = st.tuples(local_parts, domains).map("@".join)

usernames = st.one_of(
    st.text(LETTERS + "._-", min_size=3, max_size=50),
    st.text("ΑαάΆςσΣϊΐ0", min_size=3, max_size=20),
    st.text("абвЁёйЙ\u0306", min_size=3, max_size=20),
    st.text("日本ひらカナ한국어ｶﾞ", min_size=3, max_size=20),
    st.text(min_size=3, max_size=12),
)


def register(client: FlaskClient, **fields: Any) -> TestResponse:
    account = {"email": "ada@example.com", "username": "ada", "password": PASSWORD} | fields
    return client.post(f"{API}/auth/register", json=account)


def canonical_or_skip(address: str) -> str:
    try:
        return canonical_email(address)
    except InvalidEmail:
        assume(False)
        raise


def username_or_skip(text: str) -> str:
    try:
        return canonical_username(text)
    except InvalidUsername:
        assume(False)
        raise


# Addresses


@thoroughly
@given(addresses)
def test_the_canonical_address_is_its_own_canonical_form(address: str) -> None:
    canonical = canonical_or_skip(address)

    again = canonical_email(canonical)

    assert again == canonical


@thoroughly
@given(addresses)
def test_the_canonical_address_is_ascii_in_lower_case(address: str) -> None:
    canonical = canonical_or_skip(address)

    assert canonical.isascii()
    assert canonical == canonical.lower()
    assert len(canonical) <= 254


@thoroughly
@given(addresses)
def test_the_case_of_an_address_makes_no_difference(address: str) -> None:
    canonical = canonical_or_skip(address)
    local, _, domain = address.partition("@")

    spellings = [f"{local.upper()}@{domain}", f"{local.swapcase()}@{domain}", canonical.upper()]

    assert {canonical_email(spelling) for spelling in spellings} == {canonical}


@thoroughly
@given(st.text(max_size=300))
def test_any_text_is_an_address_or_refused(text: str) -> None:
    try:
        canonical = canonical_email(text)
    except InvalidEmail:
        return

    assert canonical.isascii()


@pytest.mark.parametrize(
    ("written", "canonical"),
    [
        ("ada@example.com", "ada@example.com"),
        ("Ada@Example.COM", "ada@example.com"),
        ("ada+notes@example.com", "ada+notes@example.com"),
        ("a.d.a@example.com", "a.d.a@example.com"),
        ("ada@BÜCHER.example.com", "ada@xn--bcher-kva.example.com"),
        ("ada@xn--bcher-kva.example.com", "ada@xn--bcher-kva.example.com"),
        ("ada@XN--BCHER-KVA.example.com", "ada@xn--bcher-kva.example.com"),
        ("ada@e\u0301tude.example.com", "ada@xn--tude-9oa.example.com"),
        ("ada@ｅｘａｍｐｌｅ.com", "ada@example.com"),
        ("ada@\u212aelvin.com", "ada@kelvin.com"),
        ("ada@例え.jp", "ada@xn--r8jz45g.jp"),
        ("ada@example。com", "ada@example.com"),
    ],
)
def test_an_address_has_one_form(written: str, canonical: str) -> None:
    assert canonical_email(written) == canonical


NO_ADDRESSES = [
    "",
    "ada",
    "@",
    "ada@",
    "@example.com",
    "ada@example",
    "ada@localhost",
    "ada@example.com.",
    "ada@.example.com",
    "ada@example..com",
    "ada@-example.com",
    "ada..l@example.com",
    ".ada@example.com",
    "ada.@example.com",
    "ada@example.com@example.org",
    " ada@example.com",
    "ada@example.com ",
    "ada@example.com\n",
    "ada@example.com\r\nBcc: bob@example.com",
    "ada lovelace@example.com",
    '"ada"@example.com',
    '"a@b"@example.com',
    "Ada <ada@example.com>",
    "ada(comment)@example.com",
    "ada@[127.0.0.1]",
    "ada@127.0.0.1",
    "ada@[IPv6:::1]",
    "ada@exam_ple.com",
    "ada@exam\u200bple.com",
    "ada\u202e@example.com",
    "ada@example.com\u2028",
    "ada@" + "a" * 64 + ".com",
    "ada@" + "a." * 130 + "com",
    "ada@" + "ä" * 240 + ".com",
    "mailto:ada@example.com",
    "ada,bob@example.com",
    "ada;bob@example.com",
    "ada@xn--.com",
    "ada@xn--\u00fc.com",
]


@each("text", NO_ADDRESSES, ids=lambda text: ascii(text)[:40])
def test_what_cannot_be_written_to_is_no_address(client: FlaskClient, text: str) -> None:
    response = register(client, email=text)

    assert refused_fields(response).keys() == {"#/email"}


@each(
    "local",
    [
        "mıke",
        "mi\u212ae",
        "mİke",
        "mi\u0307ke",
        "ｍｉｋｅ",
        "ﬁona",
        "straße",
        "мike",
        "mike\u0301",
    ],
    ids=ascii,
)
def test_a_local_part_beyond_ascii_is_refused_and_so_collides_with_nobody(
    client: FlaskClient, local: str
) -> None:
    response = register(client, email=f"{local}@example.com")

    assert refused_fields(response) == {"#/email": "invalid_email"}


def test_an_address_of_254_characters_is_the_longest(client: FlaskClient) -> None:
    domain = ".".join(["d" * 60] * 3) + ".example.com"
    longest = "a" * (253 - len(domain)) + "@" + domain

    at_the_bound = register(client, email=longest)
    beyond = register(client, email="a" + longest, username="other")

    assert len(longest) == 254
    assert at_the_bound.status_code == 201
    assert refused_fields(beyond).keys() == {"#/email"}


def test_a_domain_that_grows_beyond_the_bound_in_ascii_is_refused(client: FlaskClient) -> None:
    address = "ada@" + ".".join(["ö" * 30] * 7) + ".com"

    response = register(client, email=address)

    assert len(address) <= 254
    assert refused_fields(response) == {"#/email": "invalid_email"}


# Usernames


@thoroughly
@given(usernames)
def test_the_canonical_username_is_its_own_canonical_form(text: str) -> None:
    username = username_or_skip(text)

    assert canonical_username(username) == username
    assert unicodedata.is_normalized("NFC", username)


@thoroughly
@given(st.text(max_size=60))
def test_the_key_of_a_key_is_the_key(text: str) -> None:
    key = username_key(text)

    assert username_key(key) == key


@thoroughly
@given(usernames, st.sampled_from(["NFC", "NFD", "NFKC", "NFKD"]))
def test_neither_case_nor_normalisation_tells_usernames_apart(text: str, form: str) -> None:
    username = username_or_skip(text)

    spellings = [username.lower(), username.casefold(), username]
    # The capital of ı is I, and these two letters do tell usernames apart.
    if "ı" not in username:
        spellings.append(username.upper())

    keys = {username_key(unicodedata.normalize(form, spelling)) for spelling in spellings}
    assert keys == {username_key(username)}


@thoroughly
@given(usernames)
def test_a_username_is_never_an_address_and_fits_its_column(text: str) -> None:
    username = username_or_skip(text)

    assert "@" not in username_key(username)
    assert 3 <= len(username) <= 50
    assert len(username_key(username)) <= 200


@thoroughly
@given(st.text(max_size=60))
def test_any_text_is_a_username_or_refused(text: str) -> None:
    try:
        username = canonical_username(text)
    except InvalidUsername:
        return

    assert not any(unicodedata.category(character) in UNSEEN for character in username)


@pytest.mark.parametrize(
    "username",
    [
        "ada",
        "Ada.Lovelace",
        "ada_lovelace-1815",
        "1815",
        "zoë",
        "Ærøskøbing",
        "Ελένη",
        "Иван_42",
        "שלמה",
        "محمد",
        "१२३",
        "नमस्ते",
        "สมชาย",
        "日本ひらカナ",
        "김철수",
        "a" * 50,
    ],
)
def test_letters_and_digits_of_one_script_make_a_username(
    client: FlaskClient, username: str
) -> None:
    response = register(client, username=username)

    assert response.status_code == 201
    assert response.json["username"] == username


@pytest.mark.parametrize("username", ["", "ab", "a" * 51, "e\u0301e\u0301", "日"])
def test_a_username_has_three_to_fifty_characters(client: FlaskClient, username: str) -> None:
    response = register(client, username=username)

    assert refused_fields(response) == {"#/username": "invalid_length"}


@each(
    "username",
    [
        "ada@example.com",
        "ada＠example",
        "@ada",
        "ada lovelace",
        " ada",
        "ada ",
        "ada\n",
        "\tada",
        ".ada",
        "ada.",
        "-ada",
        "ada-",
        "_ada",
        "ada_",
        "...",
        "ada/bob",
        "ada\\bob",
        "ada:bob",
        "ada+bob",
        "ada%00",
        "ada'--",
        "<ada>",
        "аdmin",
        "аda",
        "αda",
        "adа1",
        "日本abc",
        "日本ἀβγ",
        "ひらабв",
        "ada\u0663",
        "adm\u200bin",
        "adm\u200din",
        "adm\u00adin",
        "adm\u202ein",
        "adm\u2060in",
        "\ufeffada",
        "ada\u034f",
        "ada\ufe0f",
        "ada\u180e",
        "ada\U000e0061",
        "ada😀",
        "ada★",
        "ada\u2024bob",
        "ada．bob",
        "ada\u3000bob",
        "\u3164\u3164\u3164",
        "김\u3164철수",
        "김\uffa0철수",
        "김\u115f철수",
        "\u1780\u17b4\u1781",
    ],
    ids=ascii,
)
def test_nothing_else_is_in_a_username(client: FlaskClient, username: str) -> None:
    response = register(client, username=username)

    assert refused_fields(response) == {"#/username": "invalid_characters"}


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("lovelace", "LOVELACE"),
        ("straße", "STRASSE"),
        ("straße", "straẞe"),
        ("\u212aelvin", "kelvin"),
        ("ﬁona", "fiona"),
        ("ａｄａ", "ada"),
        ("zo\u00eb", "zoe\u0308"),
        ("ΣΟΦΟΣ", "σοφος"),
        ("σοφοσ", "σοφος"),
        ("ſally", "sally"),
        ("İda", "i\u0307da"),
        ("ｶﾞﾗｽ", "ガラス"),
    ],
)
def test_two_spellings_of_one_name_are_one(first: str, second: str) -> None:
    keys = {username_key(canonical_username(name)) for name in (first, second)}

    assert len(keys) == 1


@pytest.mark.parametrize(
    ("first", "second"),
    [("mıke", "mike"), ("zoe", "zoë"), ("a.d.a", "ada"), ("a-da", "a_da"), ("ærø", "aero")],
)
def test_two_names_are_two(first: str, second: str) -> None:
    keys = {username_key(canonical_username(name)) for name in (first, second)}

    assert len(keys) == 2


@pytest.mark.parametrize("word", sorted(identifiers.RESERVED_USERNAMES))
def test_a_reserved_word_is_its_own_key(word: str) -> None:
    assert username_key(word) == word


@pytest.mark.parametrize("word", ["Admin", "ａdmin", "ＲＯＯＴ", "ſystem", "SySTeM"])
def test_a_reserved_word_is_reserved_however_it_is_spelt(word: str) -> None:
    assert identifiers.is_reserved(word)
