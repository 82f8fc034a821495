"""Asymmetric signing keys: what they sign, what is published, and what is refused."""

import hashlib
import hmac
import json
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import jwt
import pytest
import sqlalchemy
import time_machine
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed448, ed25519, rsa
from flask import Flask
from flask.testing import FlaskClient

from app import clock, create_app, read_settings
from app.extensions import db
from app.models import User
from app.security import signing_keys
from config import Settings, SettingsRefused
from tests.cases import each
from tests.conftest import ENVIRONMENT
from tests.factories import API, claims_of, log_in, me, problem, refresh

ALGORITHMS = ["ES256", "RS256", "EdDSA"]
ISSUER = "http://localhost:8000"
PUBLIC_MEMBERS = {
    "ES256": {"kty", "crv", "x", "y"},
    "RS256": {"kty", "n", "e"},
    "EdDSA": {"kty", "crv", "x"},
}

each_algorithm = pytest.mark.parametrize("algorithm", ALGORITHMS)


@pytest.fixture(scope="session")
def made_keys(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A folder of each algorithm with the keys ``one`` and ``two``. Not to be changed."""
    folders = {}
    for algorithm in ALGORITHMS:
        folders[algorithm] = tmp_path_factory.mktemp(algorithm)
        for key_id in ("one", "two"):
            signing_keys.generate(folders[algorithm], key_id, algorithm)
    return folders


@pytest.fixture
def folder(made_keys: dict[str, Path], algorithm: str, tmp_path: Path) -> Path:
    """The keys of the algorithm that the test is about, to do with as it pleases."""
    return Path(shutil.copytree(made_keys[algorithm], tmp_path / "keys"))


@pytest.fixture
def algorithm() -> str:
    """What a test is about that does not say otherwise."""
    return "ES256"


@pytest.fixture
def signing_with(
    make_app: Callable[..., Flask], folder: Path, algorithm: str
) -> Callable[[str], Flask]:
    """An application that signs with that key of the folder."""
    return lambda key_id: make_app(
        ALGORITHM=algorithm, SIGNING_KEYS_DIR=str(folder), SIGNING_KEY_ID=key_id
    )


@pytest.fixture
def client(signing_with: Callable[[str], Flask]) -> FlaskClient:
    return signing_with("one").test_client()


def settings_of(tmp_path: Path, **environment: str) -> Settings:
    database = {"DATABASE_URL": f"sqlite:///{tmp_path / 'never-opened.db'}"}
    return read_settings(ENVIRONMENT | database | environment)


def refusal(tmp_path: Path, folder: Path, key_id: str = "one", algorithm: str = "ES256") -> str:
    """Why an application does not start with these keys."""
    with pytest.raises(SettingsRefused) as refused:
        create_app(
            settings_of(
                tmp_path,
                ALGORITHM=algorithm,
                SIGNING_KEYS_DIR=str(folder),
                SIGNING_KEY_ID=key_id,
            )
        )
    assert refused.value.code
    (reason,) = refused.value.reasons
    assert "-----BEGIN" not in reason
    return reason


def private_key(folder: Path, key_id: str = "one") -> Any:
    pem = (folder / f"{key_id}.pem").read_bytes()
    return serialization.load_pem_private_key(pem, password=None)


def write(path: Path, private: Any, password: bytes | None = None) -> None:
    encryption = (
        serialization.BestAvailableEncryption(password)
        if password
        else serialization.NoEncryption()
    )
    path.write_bytes(
        private.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, encryption
        )
    )


def published(client: FlaskClient) -> dict[str, Any]:
    key_set: dict[str, Any] = client.get("/.well-known/jwks.json").json
    return key_set


# What is signed, and who can verify it


@each_algorithm
def test_both_tokens_name_their_key_and_work(
    client: FlaskClient, ada: User, algorithm: str
) -> None:
    pair = log_in(client, ada)

    for kind in ("access_token", "refresh_token"):
        header = jwt.get_unverified_header(pair[kind])
        assert (header["alg"], header["kid"]) == (algorithm, "one")
    assert me(client, pair["access_token"]).status_code == 200
    assert refresh(client, pair["refresh_token"]).status_code == 200


@each_algorithm
def test_another_service_verifies_an_access_token_from_the_published_set(
    client: FlaskClient, ada: User, algorithm: str
) -> None:
    token = log_in(client, ada)["access_token"]

    class KeysFromTheClient(jwt.PyJWKClient):
        def fetch_data(self) -> Any:
            return published(client)

    key = KeysFromTheClient(f"{ISSUER}/.well-known/jwks.json").get_signing_key_from_jwt(token)
    claims = jwt.decode(token, key, algorithms=[algorithm], audience=ISSUER, issuer=ISSUER)

    assert claims["sub"] == str(ada.id)
    assert jwt.get_unverified_header(token)["typ"] == "at+jwt"


@each_algorithm
def test_the_published_set_does_not_verify_a_token_of_another_key(
    client: FlaskClient, ada: User, algorithm: str
) -> None:
    token = log_in(client, ada)["access_token"]
    keys = jwt.PyJWKSet.from_dict(published(client))

    with pytest.raises(jwt.InvalidSignatureError):
        jwt.decode(token, keys["two"], algorithms=[algorithm], audience=ISSUER)


@each_algorithm
def test_the_set_holds_the_public_halves_and_nothing_else(
    client: FlaskClient, algorithm: str
) -> None:
    keys = published(client)["keys"]

    assert {key["kid"] for key in keys} == {"one", "two"}
    for key in keys:
        assert key.keys() == PUBLIC_MEMBERS[algorithm] | {"kid", "use", "alg"}
        assert (key["use"], key["alg"]) == ("sig", algorithm)


def test_the_set_may_be_kept_for_five_minutes(client: FlaskClient) -> None:
    response = client.get("/.well-known/jwks.json")

    assert response.status_code == 200
    assert response.mimetype == "application/json"
    assert response.headers["Cache-Control"] == "public, max-age=300"


def test_the_set_is_empty_while_signing_is_symmetric(app: Flask) -> None:
    response = app.test_client().get("/.well-known/jwks.json")

    assert (response.status_code, response.json) == (200, {"keys": []})


def test_symmetric_tokens_carry_no_key_id(app: Flask, ada: User) -> None:
    pair = log_in(app.test_client(), ada)

    assert "kid" not in jwt.get_unverified_header(pair["access_token"])


def test_a_token_from_before_the_change_to_asymmetric_keys_is_no_good(
    app: Flask, client: FlaskClient, ada: User
) -> None:
    pair = log_in(app.test_client(), ada)

    response = me(client, pair["access_token"])

    assert problem(response) == (401, "invalid_token")


# Repeating a refresh


@pytest.mark.parametrize("algorithm", ["RS256", "EdDSA"])
def test_a_repeated_refresh_gives_the_same_bytes_where_signatures_are_deterministic(
    client: FlaskClient, ada: User
) -> None:
    pair = log_in(client, ada)
    first = refresh(client, pair["refresh_token"]).json

    with time_machine.travel(clock.now() + timedelta(seconds=5)):
        again = refresh(client, pair["refresh_token"]).json

    assert again["refresh_token"] == first["refresh_token"]


def test_a_repeated_refresh_says_the_same_where_signatures_are_random(
    client: FlaskClient, ada: User
) -> None:
    pair = log_in(client, ada)
    first = refresh(client, pair["refresh_token"]).json

    with time_machine.travel(clock.now() + timedelta(seconds=5)):
        again = refresh(client, pair["refresh_token"]).json

    assert claims_of(again["refresh_token"]) == claims_of(first["refresh_token"])
    assert refresh(client, again["refresh_token"]).status_code == 200


# Hostile tokens


class Watched:
    """Files opened, connections made and statements executed while it watches."""

    def __init__(self) -> None:
        self.seen: list[str] = []
        self.watching = False
        # An audit hook stays for the life of the process; this one sleeps outside the block.
        sys.addaudithook(self.hear)

    def hear(self, event: str, arguments: tuple[Any, ...]) -> None:
        if self.watching and event in ("open", "socket.connect", "urllib.Request", "os.listdir"):
            self.seen.append(f"{event} {arguments[0]}")

    @contextmanager
    def __call__(self, app: Flask) -> Iterator[list[str]]:
        def note(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
            self.seen.append(statement)

        with app.app_context():
            engine = db.engine
        sqlalchemy.event.listen(engine, "before_cursor_execute", note)
        self.seen.clear()
        self.watching = True
        try:
            yield self.seen
        finally:
            self.watching = False
            sqlalchemy.event.remove(engine, "before_cursor_execute", note)


watched = Watched()


def assert_refused_unseen(client: FlaskClient, token: str) -> None:
    """Refused by each call that takes a token, without a look at file, network or database."""
    with watched(client.application) as seen:
        answers = me(client, token), refresh(client, token)
        revoked = client.post(f"{API}/auth/revoke", data={"token": token})

    assert problem(answers[0]) == (401, "invalid_token")
    assert problem(answers[1]) == (401, "invalid_refresh_token")
    assert revoked.status_code == 200
    assert seen == []


HOSTILE_KEY_IDS = {
    "absolute path": "/etc/passwd",
    "relative path": "../keys/one",
    "with the ending": "one.pem",
    "device": "/dev/zero",
    "sql": "one' OR '1'='1",
    "sql that ends": "'; DROP TABLE sessions; --",
    "10 KB": "x" * 10_240,
    "other case": "ONE",
    "NUL": "one\0",
    "empty": "",
    "url": "http://127.0.0.1:1/key",
    "template": "{{7*7}}${7*7}%s",
    "unknown": "three",
}


@each("key_id", HOSTILE_KEY_IDS.values(), ids=HOSTILE_KEY_IDS.keys())
def test_a_key_id_that_is_not_ours_is_refused_without_a_look_up(
    client: FlaskClient, ada: User, folder: Path, key_id: str
) -> None:
    claims = claims_of(log_in(client, ada)["access_token"])

    forged = jwt.encode(claims, private_key(folder), "ES256", {"kid": key_id})

    assert_refused_unseen(client, forged)


@each("key_id", [1, 0, 1.5, True, None, ["one"], {"one": "one"}, []], ids=json.dumps)
def test_a_key_id_that_is_no_string_is_refused(
    client: FlaskClient, ada: User, folder: Path, key_id: Any
) -> None:
    genuine = log_in(client, ada)["access_token"]

    forged = signed_by_hand(claims_of(genuine), {"kid": key_id}, private_key(folder))

    assert_refused_unseen(client, forged)


def test_a_token_without_a_key_id_is_refused(client: FlaskClient, ada: User, folder: Path) -> None:
    claims = claims_of(log_in(client, ada)["access_token"])

    unnamed = jwt.encode(claims, private_key(folder), "ES256")

    assert_refused_unseen(client, unnamed)


@each_algorithm
def test_a_token_signed_by_an_attacker_in_our_keys_name_is_refused(
    client: FlaskClient, ada: User, algorithm: str, made_keys: dict[str, Path]
) -> None:
    claims = claims_of(log_in(client, ada)["access_token"])
    attackers = private_key(made_keys[algorithm], "two")

    forged = jwt.encode(claims, attackers, algorithm, {"kid": "one"})

    assert_refused_unseen(client, forged)


@pytest.mark.parametrize("key_id", ["one", "attacker"])
def test_a_key_that_comes_with_the_token_is_not_believed(
    client: FlaskClient, ada: User, key_id: str
) -> None:
    claims = claims_of(log_in(client, ada)["access_token"])
    attackers = ec.generate_private_key(ec.SECP256R1())
    jwk = jwt.algorithms.ECAlgorithm.to_jwk(attackers.public_key(), as_dict=True)
    header = {"kid": key_id, "jwk": {**jwk, "kid": key_id}}

    forged = jwt.encode(claims, attackers, "ES256", header)

    assert_refused_unseen(client, forged)


@pytest.mark.parametrize("name", ["jku", "x5u"])
@pytest.mark.parametrize("key_id", ["one", "attacker"])
def test_an_address_of_keys_that_comes_with_the_token_is_not_asked(
    client: FlaskClient, ada: User, name: str, key_id: str
) -> None:
    claims = claims_of(log_in(client, ada)["access_token"])
    attackers = ec.generate_private_key(ec.SECP256R1())
    header = {"kid": key_id, name: "http://127.0.0.1:1/jwks.json"}

    forged = jwt.encode(claims, attackers, "ES256", header)

    assert_refused_unseen(client, forged)


@each_algorithm
@pytest.mark.parametrize(
    "encoding", [serialization.Encoding.PEM, serialization.Encoding.DER], ids=["pem", "der"]
)
def test_the_public_key_is_no_shared_secret(
    client: FlaskClient, ada: User, folder: Path, encoding: serialization.Encoding
) -> None:
    claims = claims_of(log_in(client, ada)["access_token"])
    public = private_key(folder).public_key()
    secret = public.public_bytes(encoding, serialization.PublicFormat.SubjectPublicKeyInfo)

    forged = signed_with_secret(claims, {"kid": "one"}, secret)

    assert_refused_unseen(client, forged)


def test_the_secret_key_signs_nothing_any_more(client: FlaskClient, ada: User) -> None:
    claims = claims_of(log_in(client, ada)["access_token"])
    secret = client.application.config["SECRET_KEY"].encode()

    answers = [
        signed_with_secret(claims, header, secret) for header in ({"kid": "one"}, {"kid": "x"}, {})
    ]

    for forged in answers:
        assert_refused_unseen(client, forged)


@each("algorithm_name", ["none", "None", "NONE", "", None, "ES384", 7])
def test_another_algorithm_in_the_header_is_refused(
    client: FlaskClient, ada: User, algorithm_name: Any
) -> None:
    genuine = log_in(client, ada)["access_token"]
    _head, claims, signature = genuine.split(".")
    head = base64url(json.dumps({"alg": algorithm_name, "typ": "JWT", "kid": "one"}).encode())

    for forged in (f"{head}.{claims}.", f"{head}.{claims}.{signature}"):
        assert_refused_unseen(client, forged)


def test_an_unsigned_token_is_refused_while_signing_is_symmetric(app: Flask, ada: User) -> None:
    client = app.test_client()
    claims = claims_of(log_in(client, ada)["access_token"])

    unsigned = jwt.encode(claims, None, "none")

    assert_refused_unseen(client, unsigned)


@pytest.mark.parametrize("key_id", ["one", "/etc/passwd", "x" * 10_240])
def test_a_key_id_is_refused_while_signing_is_symmetric(app: Flask, ada: User, key_id: str) -> None:
    client = app.test_client()
    claims = claims_of(log_in(client, ada)["access_token"])

    named = jwt.encode(claims, app.config["SECRET_KEY"], "HS256", {"kid": key_id})

    assert_refused_unseen(client, named)


def base64url(data: bytes) -> str:
    return jwt.utils.base64url_encode(data).decode()


def signed_by_hand(claims: dict[str, Any], header: dict[str, Any], key: Any) -> str:
    """As PyJWT would not write it."""
    head = base64url(json.dumps({"alg": "ES256", "typ": "JWT"} | header).encode())
    message = f"{head}.{base64url(json.dumps(claims).encode())}"
    signature = jwt.get_algorithm_by_name("ES256").sign(message.encode(), key)
    return f"{message}.{base64url(signature)}"


def signed_with_secret(claims: dict[str, Any], header: dict[str, Any], secret: bytes) -> str:
    """HS256 with any bytes; PyJWT refuses to take a public key for a secret."""
    head = base64url(json.dumps({"alg": "HS256", "typ": "JWT"} | header).encode())
    message = f"{head}.{base64url(json.dumps(claims).encode())}"
    return f"{message}.{base64url(hmac.digest(secret, message.encode(), hashlib.sha256))}"


# Keys that wait, and keys that are retired


@each_algorithm
def test_a_key_that_waits_verifies_what_another_host_signed_with_it(
    signing_with: Callable[[str], Flask], ada: User, algorithm: str
) -> None:
    here, there = signing_with("one").test_client(), signing_with("two").test_client()

    pair = log_in(there, ada)

    assert me(here, pair["access_token"]).status_code == 200
    assert refresh(here, pair["refresh_token"]).status_code == 200


@each_algorithm
def test_a_retired_key_verifies_until_its_instant_and_not_after(
    signing_with: Callable[[str], Flask], folder: Path, ada: User, algorithm: str
) -> None:
    with time_machine.travel("2026-11-22T08:00:00Z", tick=False) as time:
        pair = log_in(signing_with("one").test_client(), ada)
        retire(folder, "one", clock.now() + timedelta(minutes=5))
        client = signing_with("two").test_client()

        time.shift(timedelta(minutes=5) - timedelta(seconds=1))
        before = me(client, pair["access_token"])
        published_before = {key["kid"] for key in published(client)["keys"]}
        time.shift(timedelta(seconds=1))
        after = me(client, pair["access_token"]), refresh(client, pair["refresh_token"])
        published_after = {key["kid"] for key in published(client)["keys"]}

    assert before.status_code == 200
    assert problem(after[0]) == (401, "invalid_token")
    assert problem(after[1]) == (401, "invalid_refresh_token")
    assert published_before == {"one", "two"}
    assert published_after == {"two"}


def test_a_session_outlives_the_key_that_it_began_with(
    signing_with: Callable[[str], Flask], folder: Path, ada: User
) -> None:
    with time_machine.travel("2026-11-22T08:00:00Z", tick=False) as time:
        pair = log_in(signing_with("one").test_client(), ada)
        retire(folder, "one", clock.now() + timedelta(days=14, minutes=1))
        client = signing_with("two").test_client()
        time.shift(timedelta(days=13))
        pair = refresh(client, pair["refresh_token"]).json
        time.shift(timedelta(days=2))

        response = refresh(client, pair["refresh_token"])

    assert response.status_code == 200


def test_a_key_is_kept_until_the_last_token_that_it_signed_has_expired(tmp_path: Path) -> None:
    settings = settings_of(tmp_path, REFRESH_TOKEN_EXPIRE_DAYS="14", SESSION_MAX_AGE_DAYS="30")

    assert signing_keys.longest_token_life(settings) >= timedelta(days=14)


def test_where_access_tokens_last_longest_a_key_is_kept_for_them(tmp_path: Path) -> None:
    settings = settings_of(
        tmp_path, ACCESS_TOKEN_EXPIRE_MINUTES="2880", REFRESH_TOKEN_EXPIRE_DAYS="1"
    )

    # No access token outlives its session, but none is promised to be shorter either.
    assert signing_keys.longest_token_life(settings) >= timedelta(days=1)


def retire(folder: Path, key_id: str, until: datetime) -> signing_keys.Key:
    (key,) = [k for k in signing_keys.read_all(folder) if k.id == key_id]
    return signing_keys.retire(key, until)


# Starting


def test_a_key_of_another_kind_stops_the_start(
    tmp_path: Path, folder: Path, made_keys: dict[str, Path]
) -> None:
    shutil.copy(made_keys["EdDSA"] / "one.pem", folder / "odd.pem")

    reason = refusal(tmp_path, folder)

    assert reason.startswith("SIGNING_KEYS_DIR holds odd.pem, a key for EdDSA")
    assert "ES256" in reason


UNFIT_KEYS = {
    "empty": b"",
    "text": b"this is no key",
    "bytes": b"\xff\xfe\x00",
    "cut off": b"-----BEGIN PRIVATE KEY-----\nMIGHAgEAMBMGByqGSM49\n",
}


@pytest.mark.parametrize("content", UNFIT_KEYS.values(), ids=UNFIT_KEYS.keys())
def test_a_file_that_holds_no_key_stops_the_start(
    tmp_path: Path, folder: Path, content: bytes
) -> None:
    (folder / "broken.pem").write_bytes(content)

    reason = refusal(tmp_path, folder)

    assert reason.startswith("SIGNING_KEYS_DIR holds broken.pem")


def test_a_key_under_a_password_stops_the_start(tmp_path: Path, folder: Path) -> None:
    write(folder / "locked.pem", private_key(folder), password=b"secret")

    reason = refusal(tmp_path, folder)

    assert reason.startswith("SIGNING_KEYS_DIR holds locked.pem")


def test_a_public_key_in_place_of_a_private_one_stops_the_start(
    tmp_path: Path, folder: Path
) -> None:
    public = private_key(folder).public_key()
    (folder / "half.pem").write_bytes(
        public.public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )
    )

    reason = refusal(tmp_path, folder)

    assert reason.startswith("SIGNING_KEYS_DIR holds half.pem")


@pytest.mark.parametrize(
    "make",
    [
        lambda: ec.generate_private_key(ec.SECP384R1()),
        lambda: ec.generate_private_key(ec.SECP256K1()),
        lambda: ed448.Ed448PrivateKey.generate(),
        lambda: rsa.generate_private_key(public_exponent=65537, key_size=1024),
        lambda: dsa.generate_private_key(key_size=1024),
    ],
    ids=["P-384", "secp256k1", "Ed448", "RSA of 1024 bits", "DSA"],
)
def test_a_key_that_signs_too_weakly_or_otherwise_stops_the_start(
    tmp_path: Path, folder: Path, make: Callable[[], Any]
) -> None:
    write(folder / "unfit.pem", make())

    reason = refusal(tmp_path, folder)

    assert reason.startswith("SIGNING_KEYS_DIR holds unfit.pem")


@pytest.mark.parametrize(
    "name",
    [
        "with space.pem",
        "ключ.pem",
        "a.b.pem",
        f"{'x' * 65}.pem",
        ".pem",
        "one.until-.pem",
        "one.until-soon.pem",
        "one.until--1.pem",
    ],
)
def test_a_file_name_that_is_no_key_id_stops_the_start(
    tmp_path: Path, folder: Path, name: str
) -> None:
    shutil.copy(folder / "one.pem", folder / name)

    reason = refusal(tmp_path, folder)

    assert reason.startswith("SIGNING_KEYS_DIR holds ")
    assert name in reason


def test_an_instant_beyond_the_calendar_stops_the_start(tmp_path: Path, folder: Path) -> None:
    retired = retire(folder, "two", clock.now())
    retired.path.rename(folder / "two.until-999999999999.pem")

    reason = refusal(tmp_path, folder)

    assert reason.startswith("SIGNING_KEYS_DIR holds two.until-999999999999.pem")


def test_two_different_keys_of_one_id_stop_the_start(tmp_path: Path, folder: Path) -> None:
    shutil.copy(retire(folder, "two", clock.now()).path, folder / "one.until-4102444800.pem")

    reason = refusal(tmp_path, folder)

    assert reason.startswith("SIGNING_KEYS_DIR")
    assert "one" in reason


def test_a_folder_in_place_of_a_file_stops_the_start(tmp_path: Path, folder: Path) -> None:
    (folder / "three.pem").mkdir()

    reason = refusal(tmp_path, folder)

    assert reason.startswith("SIGNING_KEYS_DIR")
    assert "three.pem" in reason


def test_other_files_in_the_folder_are_let_be(tmp_path: Path, folder: Path) -> None:
    (folder / "README").write_text("Keys.")
    (folder / "old.pem.bak").write_text("no key")

    app = create_app(
        settings_of(tmp_path, ALGORITHM="ES256", SIGNING_KEYS_DIR=str(folder), SIGNING_KEY_ID="one")
    )

    assert {key["kid"] for key in published(app.test_client())["keys"]} == {"one", "two"}


def test_an_unknown_signing_key_stops_the_start_and_the_fit_ones_are_named(
    tmp_path: Path, folder: Path
) -> None:
    reason = refusal(tmp_path, folder, key_id="three")

    assert reason.startswith("SIGNING_KEY_ID is 'three'")
    assert "one, two" in reason


def test_a_retired_signing_key_stops_the_start(tmp_path: Path, folder: Path) -> None:
    retire(folder, "one", clock.now() + timedelta(days=1))

    reason = refusal(tmp_path, folder)

    assert reason.startswith("SIGNING_KEY_ID is 'one'")
    assert "Write one of: two." in reason


def test_a_folder_without_keys_stops_the_start(tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()

    reason = refusal(tmp_path, empty)

    assert reason.startswith("SIGNING_KEY_ID is 'one'")


def test_a_folder_that_is_not_there_stops_the_start(tmp_path: Path) -> None:
    with pytest.raises(SettingsRefused) as refused:
        settings_of(
            tmp_path,
            ALGORITHM="ES256",
            SIGNING_KEYS_DIR=str(tmp_path / "nowhere"),
            SIGNING_KEY_ID="one",
        )

    assert any(reason.startswith("SIGNING_KEYS_DIR ") for reason in refused.value.reasons)


@each_algorithm
def test_an_algorithm_that_wants_keys_stops_the_start_without_them(
    tmp_path: Path, algorithm: str
) -> None:
    with pytest.raises(SettingsRefused) as refused:
        settings_of(tmp_path, ALGORITHM=algorithm)

    names = [reason.partition(" ")[0] for reason in refused.value.reasons]
    assert names == ["SIGNING_KEYS_DIR", "SIGNING_KEY_ID"]


@pytest.mark.parametrize("algorithm", ["none", "HS512", "es256", "ES384", "PS256"])
def test_an_algorithm_that_is_not_offered_stops_the_start(tmp_path: Path, algorithm: str) -> None:
    with pytest.raises(SettingsRefused) as refused:
        settings_of(tmp_path, ALGORITHM=algorithm)

    assert refused.value.reasons[0].startswith("ALGORITHM ")


@pytest.mark.parametrize("key_id", ["../one", "a b", "x" * 65, "ключ", "one.pem"])
def test_a_signing_key_id_that_is_none_stops_the_start(
    tmp_path: Path, folder: Path, key_id: str
) -> None:
    with pytest.raises(SettingsRefused) as refused:
        settings_of(
            tmp_path, ALGORITHM="ES256", SIGNING_KEYS_DIR=str(folder), SIGNING_KEY_ID=key_id
        )

    assert refused.value.reasons[0].startswith("SIGNING_KEY_ID ")


def test_an_ed25519_key_that_others_made_will_do(tmp_path: Path) -> None:
    write(tmp_path / "theirs.pem", ed25519.Ed25519PrivateKey.generate())

    (key,) = signing_keys.read_all(tmp_path)

    assert (key.id, key.algorithm, key.until) == ("theirs", "EdDSA", None)
