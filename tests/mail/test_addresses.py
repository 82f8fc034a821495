"""A mail goes to the mailbox on record and to no other, however its address is spelt."""

import email
import email.policy
import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import func, select

from app.extensions import db
from app.mail import messages
from app.mail.composing import Letter
from app.models import User
from tests.cases import each
from tests.factories import API, PASSWORD, bearer, log_in, make_user, problem, refused_fields
from tests.mail.letters import deliver, only_row, queue, rows
from tests.mail.post_office import PostOffice, open_office

VICTIM = "victim@example.org"
# Each reaches the mailbox of VICTIM in some program on the way, or may.
SPELLINGS = [
    "=?utf-8?q?victim?=@example.org",
    "=?UTF-8?Q?victim?=@example.org",
    "=?us-ascii?q?victim?=@example.org",
    "=?iso-8859-1?q?=76ictim?=@example.org",
    "=?utf-8?b?dmljdGlt?=@example.org",
    "=?utf-8*en?q?victim?=@example.org",
    "x=?utf-8?q?victim?=@example.org",
    "=?utf-8?q?victim=40example.org?=@example.com",
    "=?utf-8?q?victim@example.org",
    "victim%example.org@example.com",
    "victim%example.org@example.org",
    "example.org!victim@example.com",
    "relay!example.org!victim@example.com",
    "victim%example.org%relay@example.com",
    "@example.com:victim@example.org",
    '"victim"@example.org',
    '"vic\\tim"@example.org',
    "victim(the one)@example.org",
    "(the one)victim@example.org",
    "victim@(the one)example.org",
    "Victim <victim@example.org>",
    "<victim@example.org>",
    "victim@example.org <bob@example.com>",
    "victim@example.org,bob@example.com",
    "victim@example.org;bob@example.com",
    "bob@example.com victim@example.org",
    "mailto:victim@example.org",
    "victim@example.org.",
    " victim@example.org",
    "victim@example.org ",
    "victim@example.org\n",
    "victim@[192.0.2.1]",
    "\u212aictim@example.org",
    "victim\u200b@example.org",
    "\uff56ictim@example.org",
    "victim@example\u200b.org",
    "vi\u00adctim@example.org",
]
each_spelling = each("spelling", SPELLINGS)


@pytest.fixture
def victim(app: Flask) -> User:
    return make_user(app, username="victim", email=VICTIM)


@pytest.fixture
def office(set_settings: Callable[..., None]) -> Iterator[PostOffice]:
    with open_office(PostOffice()) as office:
        set_settings(mail_url=f"smtp://127.0.0.1:{office.port}")
        yield office


def accounts(app: Flask) -> int:
    with app.app_context():
        return db.session.scalar(select(func.count(User.id))) or 0


# No account gets such an address


@each_spelling
def test_nobody_registers_another_spelling_of_a_mailbox(
    app: Flask, client: FlaskClient, spelling: str
) -> None:
    account = {"email": spelling, "username": "mallory", "password": PASSWORD}

    response = client.post(f"{API}/auth/register", json=account)

    assert refused_fields(response).keys() == {"#/email"}
    assert (accounts(app), rows(app)) == (0, [])


@each_spelling
def test_nobody_moves_to_another_spelling_of_a_mailbox(
    app: Flask, client: FlaskClient, ada: User, spelling: str
) -> None:
    pair = log_in(client, ada)

    response = client.post(
        f"{API}/auth/email/change",
        json={"new_email": spelling},
        headers=bearer(pair["access_token"]),
    )

    assert refused_fields(response).keys() == {"#/new_email"}
    assert rows(app) == []


@each_spelling
def test_nobody_is_invited_at_another_spelling_of_a_mailbox(
    app: Flask, client: FlaskClient, grace: User, spelling: str
) -> None:
    pair = log_in(client, grace)

    response = client.post(
        f"{API}/users",
        json={"email": spelling, "username": "mallory"},
        headers=bearer(pair["access_token"]),
    )

    assert refused_fields(response).keys() == {"#/email"}
    assert rows(app) == []


def test_no_account_with_another_spelling_moves_in(app: Flask, tmp_path: Path) -> None:
    file = tmp_path / "accounts.json"
    file.write_text(
        json.dumps(
            [
                {"id": number, "email": spelling, "username": f"mallory{number}"}
                for number, spelling in enumerate(SPELLINGS, 1)
            ]
        )
    )

    result = app.test_cli_runner().invoke(args=["users", "import", str(file)])

    assert accounts(app) == 0, result.output


@each_spelling
def test_no_command_makes_an_account_with_another_spelling(app: Flask, spelling: str) -> None:
    command = ["users", "create", "--username", "mallory", "--password-stdin"]

    result = app.test_cli_runner().invoke(args=[*command, f"--email={spelling}"], input=PASSWORD)

    assert result.exit_code != 0
    assert isinstance(result.exception, SystemExit), result.exception
    assert accounts(app) == 0


@each_spelling
def test_a_login_with_another_spelling_is_simply_wrong(
    client: FlaskClient, victim: User, spelling: str
) -> None:
    answers = [
        client.post(f"{API}/auth/login", json={field: spelling, "password": PASSWORD})
        for field in ("email", "username")
    ]

    assert {problem(answer) for answer in answers} == {(401, "invalid_credentials")}


@each_spelling
def test_a_forgotten_password_of_another_spelling_mails_nobody(
    app: Flask, client: FlaskClient, victim: User, office: PostOffice, spelling: str
) -> None:
    response = client.post(f"{API}/auth/password/forgot", json={"email": spelling})
    deliver(app)

    assert response.status_code == 202
    assert office.received == []


@pytest.mark.parametrize(
    "address",
    [
        "o'brien+news@example.org",
        "a/b=c@example.org",
        "x_{y}~z|`^#$&*-@example.org",
        "what?=ever@example.org",
        "!#$@example.org",
        "100%@example.org",
        "a@" + "b" * 63 + ".example.org",
        "l" * 64 + "@example.org",
    ],
)
def test_an_unusual_address_that_means_one_mailbox_is_welcome_and_gets_its_mail(
    app: Flask, client: FlaskClient, office: PostOffice, address: str
) -> None:
    account = {"email": address, "username": "ada", "password": PASSWORD}

    response = client.post(f"{API}/auth/register", json=account)
    deliver(app)

    assert response.status_code == 201, response.text
    assert office.envelopes[0].rcpt_tos == [address]


def test_an_address_in_another_script_is_kept_and_mailed_in_ascii(
    app: Flask, client: FlaskClient, office: PostOffice
) -> None:
    account = {"email": "ada@b\u00fccher.example.org", "username": "ada", "password": PASSWORD}

    response = client.post(f"{API}/auth/register", json=account)
    deliver(app)

    assert response.json["email"] == "ada@xn--bcher-kva.example.org"
    assert office.envelopes[0].rcpt_tos == ["ada@xn--bcher-kva.example.org"]


# Where such an address is on record


@pytest.mark.parametrize(
    "address",
    [
        "victim%example.com@example.org",
        "example.com!victim@example.org",
        "o'brien@example.org",
        '"ada lovelace"@example.org',
        "l" * 64 + "@" + "d" * 60 + "." + "e" * 60 + "." + "f" * 60 + ".org",
    ],
)
def test_a_mail_goes_to_the_address_on_record_byte_for_byte(
    app: Flask, office: PostOffice, address: str
) -> None:
    old = make_user(app, username="old", email=address)
    queue(app, messages.password_reset, to=address, user=old, token="a-token", minutes=30)

    deliver(app)

    (envelope,) = office.envelopes
    assert envelope.rcpt_tos == [address]
    assert isinstance(envelope.content, bytes)
    assert f"\r\nTo: {address}\r\n".encode() in envelope.content


def test_an_old_account_with_such_an_address_still_gets_a_new_password(
    app: Flask, client: FlaskClient, office: PostOffice
) -> None:
    make_user(app, username="old", email="a%b@example.org")

    client.post(f"{API}/auth/password/forgot", json={"email": "a%b@example.org"})
    deliver(app)

    assert office.envelopes[0].rcpt_tos == ["a%b@example.org"]


@pytest.mark.parametrize(
    "address",
    [
        "=?utf-8?q?victim?=@example.org",
        "=?utf-8?q?victim=40example.com=2C?=bob@example.org",
        "x=?utf-8?q?victim?=y@example.org",
        "ada@example.org, victim@example.org",
        "Ada <ada@example.org>",
        "ada@example.org> NOTIFY=NEVER",
        "ada@example.org\r\nRCPT TO:<victim@example.org>",
        "@relay.example:ada@example.org",
        "(comment)ada@example.org",
        "ada",
        "",
        "\u00e4da@example.org",
    ],
)
def test_what_is_not_one_mailbox_is_set_aside_and_not_sent(
    app: Flask, office: PostOffice, address: str
) -> None:
    queue(app, to=address)

    deliver(app)

    assert only_row(app).state == "set aside"
    assert office.received == []


def test_a_long_domain_of_the_sender_does_not_stop_a_registration(
    client: FlaskClient, set_settings: Callable[..., None]
) -> None:
    """The Message-ID holds it, and its column is short."""
    set_settings(mail_from=f"no-reply@{'d' * 60}.{'d' * 60}.{'d' * 60}.{'d' * 60}.com")
    account = {"email": "bob@example.com", "username": "bob", "password": PASSWORD}

    response = client.post(f"{API}/auth/register", json=account)

    assert response.status_code == 201


# The headers


@pytest.mark.parametrize(
    "words",
    [
        "=?utf-8?q?victim=40example.org?=",
        'Acme, "Inc." <victim@example.org>,',
        "开始, <victim@example.org>",
        "victim@example.org " * 20,
    ],
)
def test_words_in_a_header_stay_words(
    app: Flask, set_settings: Callable[..., None], words: str
) -> None:
    set_settings(brand_name=words.strip(), mail_from="no-reply@example.com")

    with app.app_context():
        letter = Letter(to="ada@example.org", message_id="<1>", subject=words, text="", html="")

    read = email.message_from_bytes(letter.as_bytes, policy=email.policy.default)
    (sender,) = read["From"].addresses
    assert (sender.display_name, sender.addr_spec) == (words.strip(), "no-reply@example.com")
    assert [to.addr_spec for to in read["To"].addresses] == ["ada@example.org"]
    assert read["Subject"].strip() == words.strip()
