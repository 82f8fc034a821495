"""Hashes that other systems made: verified at login, upgraded, bounded.

``foreign_hashes.json`` holds hashes made by the libraries themselves; each
names its library and version.
"""

import hashlib
import json
import unicodedata
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from threading import Barrier, Thread, current_thread
from typing import Any

import bcrypt
import pytest
from argon2.exceptions import VerificationError
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import update

from app.extensions import db
from app.models import User
from app.security.passwords import foreign_hashes, hashing, pool
from tests.factories import PASSWORD, problem
from tests.security.passwords.test_hashing import log_in, make_ada, make_settings, stored_hash

VECTORS = json.loads(Path(__file__).with_name("foreign_hashes.json").read_text("utf-8"))["vectors"]
SIGNER_KEY = next(v["settings"]["firebase_signer_key"] for v in VECTORS if "user1" in v["password"])


def name(vector: dict[str, Any]) -> str:
    return f"{vector['made_by']}, {ascii(vector['password'])[:12]}"


def werkzeug(password: str, iterations: int = 1) -> str:
    """A hash that costs next to nothing."""
    digest = hashlib.pbkdf2_hmac("sha256", password.encode(), b"salt", iterations)
    return f"pbkdf2:sha256:{iterations}$salt${digest.hex()}"


@pytest.fixture
def plain_app() -> Flask:
    """An application with settings and a hashing pool, for what needs no database."""
    app = Flask(__name__)
    app.config["SETTINGS"] = make_settings()
    pool.init_app(app, app.config["SETTINGS"])
    return app


@pytest.fixture
def set_plain_settings(plain_app: Flask) -> Callable[..., None]:
    def change(**settings: Any) -> None:
        plain_app.config["SETTINGS"] = replace(plain_app.config["SETTINGS"], **settings)

    return change


@pytest.fixture
def first_of_each() -> list[dict[str, Any]]:
    """One vector of each library."""
    return list({vector["made_by"].split()[0]: vector for vector in reversed(VECTORS)}.values())


# What the libraries made


@pytest.mark.parametrize("vector", VECTORS, ids=name)
def test_what_a_library_made_verifies_and_no_other_password_does(
    plain_app: Flask, vector: dict[str, Any], set_plain_settings: Callable[..., None]
) -> None:
    set_plain_settings(**vector.get("settings", {}))

    with plain_app.app_context():
        right = hashing.verify(vector["password"], vector["stored"])
        wrong = hashing.verify(vector["password"][:-1] + "?", vector["stored"])

    assert (right.is_right, right.is_outdated) == (True, True)
    assert not wrong.is_right


def test_every_vector_fits_the_column() -> None:
    assert max(len(vector["stored"]) for vector in VECTORS) <= 255


def test_each_login_upgrades_the_hash_and_the_password_stays(
    app: Flask,
    client: FlaskClient,
    first_of_each: list[dict[str, Any]],
    set_settings: Callable[..., None],
) -> None:
    user = make_ada(app, None)

    for vector in first_of_each:
        set_settings(**vector.get("settings", {}))
        store(app, user, vector["stored"])
        wrong = log_in(client, vector["password"] + "!")
        assert problem(wrong) == (401, "invalid_credentials"), name(vector)
        assert stored_hash(app) == vector["stored"]

        first, again = (log_in(client, vector["password"]) for _ in range(2))

        assert (first.status_code, again.status_code) == (200, 200), name(vector)
        assert stored_hash(app).startswith("hs384$-$$2b$04$")


def store(app: Flask, user: User, stored: str) -> None:
    with app.app_context():
        db.session.execute(update(User).where(User.id == user.id).values(hashed_password=stored))
        db.session.commit()


# Spellings


@pytest.mark.parametrize("form", ["NFC", "NFD"])
def test_what_was_typed_there_is_right_when_it_is_typed_the_same_way(
    app: Flask, client: FlaskClient, form: Any
) -> None:
    password = unicodedata.normalize(form, "café au lait")
    make_ada(app, werkzeug(password))

    assert log_in(client, password).status_code == 200


def test_a_hash_of_the_composed_form_takes_the_other_spelling_too(
    app: Flask, client: FlaskClient
) -> None:
    make_ada(app, werkzeug(unicodedata.normalize("NFC", "café au lait")))

    response = log_in(client, unicodedata.normalize("NFD", "café au lait"))

    assert response.status_code == 200


def test_after_the_upgrade_the_spelling_is_the_same(app: Flask, client: FlaskClient) -> None:
    typed = unicodedata.normalize("NFD", "café au lait")
    make_ada(app, werkzeug(typed))

    log_in(client, typed)

    assert log_in(client, unicodedata.normalize("NFC", typed)).status_code == 200


# What is refused

GOOD_ARGON2 = "$argon2id$v=19$m=65536,t=3,p=4$c2FsdHNhbHQ$" + "A" * 43
GOOD_PBKDF2 = werkzeug(PASSWORD)
DAMAGED = [
    GOOD_PBKDF2[:-2],
    GOOD_PBKDF2 + "00",
    GOOD_PBKDF2.replace("sha256", "md5"),
    GOOD_PBKDF2.replace(":1$", ":0$"),
    GOOD_PBKDF2.replace(":1$", ":٣$"),
    GOOD_PBKDF2 + "\n",
    "scrypt:32767:8:1$salt$" + "0" * 128,
    "scrypt:65536:1:1$salt$" + "0" * 128,
    "scrypt:32768:0:1$salt$" + "0" * 128,
    "scrypt:32768:8:1$salt$" + "0" * 126,
    "scrypt$16384$salt$8$1$AAAA",
    GOOD_ARGON2.replace("v=19", "v=16"),
    GOOD_ARGON2.replace("argon2id", "argon2d"),
    GOOD_ARGON2.replace("p=4", "p=9000"),
    GOOD_ARGON2.replace("c2FsdHNhbHQ", "c2FsdA"),
    GOOD_ARGON2[:-33],
    GOOD_ARGON2 + "A" * 90,
    "pbkdf2_sha256$1000$salt$A===",
    "bcrypt_sha256$" + GOOD_PBKDF2,
    "bcrypt_sha256$bcrypt_sha256$$2b$04$" + "." * 53,
    "flask-security-single$" + "flask-security-single$" + GOOD_PBKDF2,
    "md5$salt$0123456789abcdef0123456789abcdef",
    "{SSHA}0123456789",
    PASSWORD,
    "",
]


@pytest.mark.parametrize("damaged", DAMAGED, ids=lambda damaged: ascii(damaged)[:60])
def test_a_hash_that_is_damaged_or_unknown_verifies_nothing(plain_app: Flask, damaged: str) -> None:
    with plain_app.app_context():
        objection = hashing.objection(damaged)
        verdict = hashing.verify(PASSWORD, damaged)

    assert objection == "unknown_hash"
    assert not verdict.is_right


TOO_COSTLY = [
    "scrypt:1048576:8:1$salt$" + "0" * 128,
    "scrypt:2048:8:1000$salt$" + "0" * 128,
    "scrypt$2$salt$99999999$1$" + "A" * 86,
    werkzeug(PASSWORD).replace(":1$", ":8000001$"),
    "pbkdf2_sha256$999999999$salt$" + "A" * 43,
    "$pbkdf2-sha256$999999999$c2FsdHNhbHQ$" + "A" * 43,
    GOOD_ARGON2.replace("m=65536", "m=1048576"),
    GOOD_ARGON2.replace("t=3", "t=999"),
    GOOD_ARGON2.replace("p=4", "p=1000"),
    # 105 s of a loaded machine: a thread for each lane, four times in each pass.
    GOOD_ARGON2.replace("m=65536,t=3,p=4", "m=128,t=32768,p=16"),
    GOOD_ARGON2.replace("m=65536,t=3,p=4", "m=8,t=1025,p=1"),
    # 10 s of a loaded machine: each lane costs far more than N × r × p says.
    "scrypt:2:1:2097152$salt$" + "0" * 128,
    "scrypt:2:8:65$salt$" + "0" * 128,
    f"scrypt$2$salt$1$4000000${'A' * 86}==",
    "scrypt:2:800000:1$salt$" + "0" * 128,
    "scrypt:32768:64:2$salt$" + "0" * 128,
    "pbkdf2:sha512:3500001$salt$" + "0" * 128,
    "$2b$16$" + "." * 53,
    "$2b$17$" + "." * 53,
    # Six seconds of a loaded machine, and five.
    GOOD_ARGON2.replace("m=65536,t=3,p=4", "m=262144,t=16,p=1"),
    GOOD_ARGON2.replace("m=65536,t=3,p=4", "m=262144,t=9,p=1"),
    "scrypt:2:32768:64$salt$" + "0" * 128,
    "scrypt:32768:8:16$salt$" + "0" * 128,
    "pbkdf2:sha1:8000001$salt$" + "0" * 40,
    "bcrypt$$2b$31$" + "." * 53,
    "flask-security-single$$2b$31$" + "." * 53,
    f"firebase-scrypt$8$24$Bw==$c2FsdHNhbHQ=${'A' * 86}==",
]


@pytest.mark.parametrize("costly", TOO_COSTLY, ids=lambda costly: costly[:50])
def test_a_hash_that_would_take_a_server_down_is_not_calculated_and_logged(
    plain_app: Flask,
    costly: str,
    set_plain_settings: Callable[..., None],
    caplog: pytest.LogCaptureFixture,
) -> None:
    set_plain_settings(firebase_signer_key=SIGNER_KEY)

    with plain_app.app_context():
        objection = hashing.objection(costly)
        verdict = hashing.verify(PASSWORD, costly)

    assert objection == "hash_too_costly"
    assert not verdict.is_right
    assert "more time" in caplog.text
    assert costly not in caplog.text


@pytest.mark.parametrize("setting", ["security_password_salt", "firebase_signer_key"])
def test_a_hash_whose_setting_is_missing_verifies_nothing_and_the_log_names_the_setting(
    plain_app: Flask, setting: str, caplog: pytest.LogCaptureFixture
) -> None:
    vector = next(vector for vector in VECTORS if setting in vector.get("settings", {}))

    with plain_app.app_context():
        objection = hashing.objection(vector["stored"])
        verdict = hashing.verify(vector["password"], vector["stored"])

    assert objection == "setting_missing"
    assert not verdict.is_right
    assert setting.upper() in caplog.text


@pytest.mark.parametrize("setting", ["security_password_salt", "firebase_signer_key"])
def test_a_hash_verifies_with_no_other_key(
    plain_app: Flask, setting: str, set_plain_settings: Callable[..., None]
) -> None:
    vector = next(vector for vector in VECTORS if setting in vector.get("settings", {}))
    set_plain_settings(**{setting: "A" + vector["settings"][setting][1:]})

    with plain_app.app_context():
        verdict = hashing.verify(vector["password"], vector["stored"])

    assert not verdict.is_right


def test_a_hash_of_ours_whose_pepper_is_missing_is_objected_to(plain_app: Flask) -> None:
    with plain_app.app_context():
        objection = hashing.objection("hs384$gone$$2b$04$" + "." * 53)

    assert objection == "pepper_missing"


# Time


@pytest.fixture
def rounds(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The rounds of every bcrypt that was calculated."""
    done: list[int] = []
    hashpw = bcrypt.hashpw

    def noting_hashpw(password: bytes, salt: bytes) -> bytes:
        done.append(2 ** int(salt.split(b"$")[2]))
        return hashpw(password, salt)

    monkeypatch.setattr(bcrypt, "hashpw", noting_hashpw)
    return done


@pytest.mark.parametrize("password", [PASSWORD, "wrong"])
def test_a_cheap_foreign_hash_is_made_up_for(
    plain_app: Flask,
    rounds: list[int],
    set_plain_settings: Callable[..., None],
    password: str,
) -> None:
    set_plain_settings(bcrypt_rounds=10)

    with plain_app.app_context():
        hashing.verify(password, werkzeug(PASSWORD))

    assert 0.9 * 2**10 < sum(rounds) <= 2**10


def test_a_foreign_hash_half_as_dear_is_made_up_for_by_the_other_half(
    plain_app: Flask,
    rounds: list[int],
    set_plain_settings: Callable[..., None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    set_plain_settings(bcrypt_rounds=10)
    # The hash takes four ticks, and the eighth of today's rounds that measures them one.
    ticks = iter([0.0, 4.0, 4.0, 5.0])
    monkeypatch.setattr(hashing.time, "perf_counter", lambda: next(ticks))

    with plain_app.app_context():
        hashing.verify("wrong", werkzeug(PASSWORD))

    assert sum(rounds) == 2**9


def test_a_dearer_foreign_hash_costs_no_more_than_the_measuring_on_top(
    plain_app: Flask, rounds: list[int], set_plain_settings: Callable[..., None]
) -> None:
    set_plain_settings(bcrypt_rounds=4)

    with plain_app.app_context():
        hashing.verify("wrong", werkzeug(PASSWORD, iterations=500_000))

    assert rounds == [2**4]


@pytest.mark.parametrize("stored", ["ours", "foreign", "nobody's"])
def test_a_password_that_can_be_spelt_two_ways_costs_the_same_for_everybody(
    plain_app: Flask, monkeypatch: pytest.MonkeyPatch, stored: str
) -> None:
    compared: list[str] = []
    compare_one = hashing._compare_one

    def noting(password: str, *rest: Any) -> bool:
        compared.append(password)
        return compare_one(password, *rest)

    monkeypatch.setattr(hashing, "_compare_one", noting)
    with plain_app.app_context():
        hashes = {"ours": hashing.hash("x"), "foreign": werkzeug("x"), "nobody's": None}

        hashing.verify(unicodedata.normalize("NFD", "café"), hashes[stored])

    assert len(compared) == 2


def test_foreign_hashes_are_calculated_in_the_hashing_pool(
    plain_app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    threads: list[str] = []
    matches = foreign_hashes.ForeignHash.matches

    def noting(self: foreign_hashes.ForeignHash, password: str) -> bool:
        threads.append(current_thread().name)
        return matches(self, password)

    monkeypatch.setattr(foreign_hashes.ForeignHash, "matches", noting)

    with plain_app.app_context():
        hashing.verify(PASSWORD, werkzeug(PASSWORD))

    assert [thread.split("_")[0] for thread in threads] == ["hashing"]


# Races


@pytest.mark.postgresql
def test_logins_at_once_and_a_change_between_them_leave_the_changed_password(
    app: Flask, client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    user = make_ada(app, werkzeug(PASSWORD))
    changed = werkzeug("another one altogether")
    all_verified = Barrier(6, timeout=20)
    make_hash = hashing.hash

    def hash_when_all_have_verified(password: str) -> str:
        hashed = make_hash(password)
        all_verified.wait()
        all_changed.wait()
        return hashed

    all_changed = Barrier(6, timeout=20)
    monkeypatch.setattr(hashing, "hash", hash_when_all_have_verified)
    answers: list[int] = []
    logins = [
        Thread(target=lambda: answers.append(log_in(app.test_client()).status_code))
        for _ in range(5)
    ]
    for login in logins:
        login.start()

    all_verified.wait()
    store(app, user, changed)
    all_changed.wait()
    for login in logins:
        login.join()

    assert stored_hash(app) == changed
    assert answers == [401] * 5


# Numbers that a library refuses, or that take forever


HOSTILE = [
    # OpenSSL counts two blocks more than N and p, which are large where r is.
    "scrypt:2:200000:1$salt$" + "0" * 128,
    "scrypt:2:8192:1$salt$" + "0" * 128,
    f"scrypt$2$salt$100000$1${'A' * 86}==",
    "scrypt:16384:64:4$salt$" + "0" * 128,
    "scrypt:1:8:1$salt$" + "0" * 128,
    "scrypt:3:8:1$salt$" + "0" * 128,
    "scrypt:65536:1:1$salt$" + "0" * 128,
    "scrypt:0:0:0$salt$" + "0" * 128,
    "scrypt:-2:8:1$salt$" + "0" * 128,
    "scrypt:32768:8:1$\udcff$" + "0" * 128,
    "scrypt:32768:8:1$sa\0lt$" + "0" * 128,
    "pbkdf2:sha256:0$salt$" + "0" * 64,
    f"pbkdf2:sha256:1${'s' * 10_000}$" + "0" * 64,
    "$pbkdf2-sha512$1$c2FsdHNhbHQ$" + "A" * 86,
    GOOD_ARGON2.replace("m=65536,t=3,p=4", "m=8,t=1,p=1"),
    GOOD_ARGON2.replace("m=65536,t=3,p=4", "m=31,t=1,p=4"),
    GOOD_ARGON2.replace("m=65536,t=3,p=4", "m=128,t=64,p=16"),
    GOOD_ARGON2.replace("m=65536,t=3,p=4", "m=8,t=0,p=1"),
    "$argon2id$v=19$m=8,t=1,p=1$AAAA$AAAAAAAAAAAAAAAAAAAAAA",
    "$2b$03$" + "." * 53,
    "$2b$00$" + "." * 53,
    "$2b$99$" + "." * 53,
    f"firebase-scrypt$1$1$Bw==$c2FsdHNhbHQ=${'A' * 86}==",
    f"firebase-scrypt$99$99$Bw==$c2FsdHNhbHQ=${'A' * 86}==",
    f"firebase-scrypt$8$16$Bw==$c2FsdHNhbHQ=${'A' * 43}=",
]


@pytest.mark.parametrize("stored", HOSTILE, ids=ascii)
def test_a_hash_with_hostile_numbers_is_wrong_and_never_an_error(
    plain_app: Flask, stored: str, set_plain_settings: Callable[..., None]
) -> None:
    set_plain_settings(firebase_signer_key=SIGNER_KEY)

    with plain_app.app_context():
        verdict = hashing.verify(PASSWORD, stored)

    assert not verdict.is_right


# Close to what is allowed at all: the dearest that each kind may cost.
DEAREST = [
    "scrypt:2:1024:64$salt$" + "0" * 128,
    "scrypt:2:400000:1$salt$" + "0" * 128,
    "scrypt:262144:7:1$salt$" + "0" * 128,
    "scrypt:8192:4:64$salt$" + "0" * 128,
    GOOD_ARGON2.replace("m=65536,t=3,p=4", "m=128,t=64,p=16"),
    GOOD_ARGON2.replace("m=65536,t=3,p=4", "m=2048,t=1024,p=1"),
    GOOD_ARGON2.replace("m=65536,t=3,p=4", "m=262144,t=8,p=16"),
]


@pytest.mark.parametrize("stored", DEAREST, ids=lambda stored: stored[:50])
def test_what_is_let_through_calculates(plain_app: Flask, stored: str) -> None:
    with plain_app.app_context():
        read = foreign_hashes.read(stored)

    assert isinstance(read, foreign_hashes.ForeignHash)
    assert not read.matches(PASSWORD)


@pytest.mark.parametrize(
    "failure", [ValueError("x"), MemoryError(), OverflowError(), VerificationError("x")]
)
def test_what_a_library_refuses_is_a_wrong_password_at_the_usual_cost(
    plain_app: Flask,
    failure: Exception,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    compared: list[Any] = []
    compare_one = hashing._compare_one

    def noted(password: str, known: Any, rounds: int) -> bool:
        compared.append(known)
        return compare_one(password, known, rounds)

    def refuse(*_: Any, **__: Any) -> bytes:
        raise failure

    monkeypatch.setattr(hashing, "_compare_one", noted)
    monkeypatch.setattr(hashlib, "pbkdf2_hmac", refuse)
    with plain_app.app_context():
        verdict = hashing.verify(PASSWORD, "pbkdf2:sha256:1$salt$" + "0" * 64)

    assert not verdict.is_right
    # The second is nobody's, which costs what any wrong password does.
    assert [known.cost for known in compared] == [None, 4]
    assert "cannot be verified" in caplog.text


def test_a_login_to_a_row_with_a_hostile_hash_is_simply_wrong(
    app: Flask, client: FlaskClient
) -> None:
    make_ada(app, "scrypt:2:200000:1$salt$" + "0" * 128)

    assert problem(log_in(client, PASSWORD)) == (401, "invalid_credentials")
