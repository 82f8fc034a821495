"""Delivery to a real SMTP server."""

import re
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from email import message_from_bytes
from email.header import decode_header, make_header
from email.utils import parsedate_to_datetime
from pathlib import Path
from urllib.parse import quote

import pytest
from aiosmtpd.smtp import Envelope
from flask import Flask
from flask.testing import FlaskClient

from app.mail import deliverer, delivery, messages, transport
from app.models import User
from config import SettingsRefused
from configuration import mail as mail_settings
from tests.factories import API, PASSWORD, make_user
from tests.mail.letters import deliver, make_due, only_row, queue, rows
from tests.mail.post_office import (
    LOGIN,
    Certificate,
    PostOffice,
    make_certificate,
    open_office,
)
from tests.waiting import until

Change = Callable[..., None]

CREDENTIALS = ":".join(quote(part, safe="") for part in LOGIN)


@pytest.fixture
def office(set_settings: Change) -> Iterator[PostOffice]:
    """A mail server that takes what it gets, and our mail goes there."""
    with open_office(PostOffice()) as office:
        set_settings(
            mail_url=f"smtp://127.0.0.1:{office.port}",
            mail_from="User System <no-reply@accounts.example.com>",
        )
        yield office


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    return make_certificate(tmp_path_factory.mktemp("tls"))


@pytest.fixture
def trusted(certificate: Certificate, monkeypatch: pytest.MonkeyPatch) -> Certificate:
    """Our side trusts the mail server's certificate."""
    monkeypatch.setattr(transport.ssl, "create_default_context", certificate.trusted())
    return certificate


# What arrives


def test_a_mail_has_what_a_mail_should_have(app: Flask, office: PostOffice) -> None:
    before = datetime.now(UTC) - timedelta(seconds=2)
    queue(app, messages.verify_email, token="a-token")

    deliver(app)

    (letter,) = office.letters
    headers = letter.headers
    assert headers["From"] == "User System <no-reply@accounts.example.com>"
    assert headers["To"] == "ada@example.com"
    assert headers["Subject"] == "Confirm your email address for User System"
    assert headers["Message-ID"] == only_row(app).message_id
    assert headers["Message-ID"].endswith("@accounts.example.com>")
    assert headers["Auto-Submitted"] == "auto-generated"
    assert before <= parsedate_to_datetime(headers["Date"]).replace(tzinfo=UTC) <= datetime.now(UTC)
    assert headers.get_content_type() == "multipart/alternative"
    assert [part.get_content_type() for part in headers.iter_parts()] == ["text/plain", "text/html"]
    assert letter.token == "a-token"


def test_the_envelope_names_sender_and_recipient_alone(app: Flask, office: PostOffice) -> None:
    queue(app)

    deliver(app)

    (envelope,) = office.envelopes
    assert envelope.mail_from == "no-reply@accounts.example.com"
    assert envelope.rcpt_tos == ["ada@example.com"]


def test_a_subject_in_chinese_arrives_as_it_was_written(
    app: Flask, office: PostOffice, ada: User
) -> None:
    ada.locale = "zh"
    queue(app, messages.verify_email, to=ada.email, user=ada, token="a-token")

    deliver(app)

    (letter,) = office.letters
    assert letter.headers["Subject"] == "确认您在 User System 的邮箱地址"
    assert letter.token == "a-token"


def test_a_long_link_arrives_whole(app: Flask, office: PostOffice, set_settings: Change) -> None:
    base = "https://accounts.example.com/" + "a-rather-long-path/" * 8
    set_settings(public_url=base.rstrip("/"))
    queue(app, messages.verify_email, token="a-token")

    deliver(app)

    (letter,) = office.letters
    assert letter.link == f"{base}account/verify-email#token=a-token"


def test_the_link_that_arrived_works(app: Flask, client: FlaskClient, office: PostOffice) -> None:
    client.post(
        f"{API}/auth/register",
        json={"email": "bob@example.com", "username": "bob", "password": PASSWORD},
    )
    deliver(app)
    (letter,) = office.to("bob@example.com")

    response = client.post(f"{API}/auth/email/verify", json={"token": letter.token})

    assert response.status_code == 204


# Safely


def test_starttls_secures_the_connection(
    app: Flask, trusted: Certificate, set_settings: Change
) -> None:
    with open_office(PostOffice(), tls_context=trusted.context(), require_starttls=True) as office:
        set_settings(mail_url=f"smtp://localhost:{office.port}?tls=starttls")
        queue(app)

        deliver(app)

    assert office.secured == [True]


def test_tls_from_the_first_byte_secures_the_connection(
    app: Flask, trusted: Certificate, set_settings: Change
) -> None:
    with open_office(PostOffice(), ssl_context=trusted.context()) as office:
        set_settings(mail_url=f"smtp://localhost:{office.port}?tls=tls")
        queue(app)

        deliver(app)

    assert len(office.letters) == 1


def test_a_login_is_made_with_the_name_and_password_of_the_url(
    app: Flask, trusted: Certificate, set_settings: Change
) -> None:
    office = PostOffice()
    with open_office(
        office,
        tls_context=trusted.context(),
        authenticator=office.log_in,
        auth_required=True,
    ):
        set_settings(mail_url=f"smtp://{CREDENTIALS}@localhost:{office.port}?tls=starttls")
        queue(app)

        deliver(app)

    assert office.logins == [LOGIN[0]]
    assert len(office.letters) == 1


def test_a_wrong_login_is_our_fault_and_loses_no_mail(
    app: Flask, trusted: Certificate, set_settings: Change
) -> None:
    office = PostOffice()
    with open_office(
        office,
        tls_context=trusted.context(),
        authenticator=office.log_in,
        auth_required=True,
    ):
        set_settings(mail_url=f"smtp://ada:wrong@localhost:{office.port}?tls=starttls")
        queue(app)

        deliver(app)

    row = only_row(app)
    assert row.state == "waiting"
    assert "Authentication" in (row.last_error or "")
    assert "wrong" not in (row.last_error or "")


# The test, not the product, tells the mail server to be careless.
@pytest.mark.filterwarnings("ignore:Requiring AUTH:UserWarning")
def test_a_login_that_is_missing_loses_no_mail(app: Flask, set_settings: Change) -> None:
    office = PostOffice()
    with open_office(
        office, authenticator=office.log_in, auth_required=True, auth_require_tls=False
    ):
        set_settings(mail_url=f"smtp://127.0.0.1:{office.port}")
        queue(app)

        deliver(app)

    assert only_row(app).state == "waiting"


@pytest.mark.parametrize("tls", ["tls", "starttls"])
def test_a_certificate_that_nobody_vouches_for_is_not_believed(
    app: Flask, certificate: Certificate, set_settings: Change, tls: str
) -> None:
    context = certificate.context()
    options = {"ssl_context": context} if tls == "tls" else {"tls_context": context}
    office = PostOffice()
    with open_office(office, **options):
        set_settings(mail_url=f"smtp://localhost:{office.port}?tls={tls}")
        queue(app)

        deliver(app)

    row = only_row(app)
    assert row.state == "waiting"
    assert "CERTIFICATE_VERIFY_FAILED" in (row.last_error or "")
    assert office.letters == []


def test_a_certificate_of_another_host_is_not_believed(
    app: Flask, trusted: Certificate, set_settings: Change
) -> None:
    office = PostOffice()
    with open_office(office, tls_context=trusted.context()):
        set_settings(mail_url=f"smtp://127.0.0.1:{office.port}?tls=starttls")
        queue(app)

        deliver(app)

    assert only_row(app).state == "waiting"
    assert office.letters == []


def test_a_server_that_hides_starttls_gets_no_mail_in_the_clear(
    app: Flask, office: PostOffice, set_settings: Change
) -> None:
    set_settings(mail_url=f"smtp://127.0.0.1:{office.port}?tls=starttls")
    queue(app)

    deliver(app)

    assert only_row(app).state == "waiting"
    assert office.letters == []


# When it goes wrong


def test_mail_waits_while_the_server_is_away(app: Flask, set_settings: Change) -> None:
    office = PostOffice()
    with open_office(office):
        set_settings(mail_url=f"smtp://127.0.0.1:{office.port}")
    for number in range(3):
        queue(app, to=f"ada+{number}@example.com")
    deliver(app)
    states = {row.state for row in rows(app)}

    with open_office(office):
        make_due(app)
        deliver(app)

    assert states == {"waiting"}
    assert {row.state for row in rows(app)} == {"delivered"}
    assert len(office.letters) == 3


def test_one_recipient_who_is_refused_delays_nobody(app: Flask, office: PostOffice) -> None:
    office.refusals["bob@example.com"] = "550 no such user here"
    for name in ("bob", "ada", "grace"):
        queue(app, to=f"{name}@example.com")

    deliver(app)

    bob, *others = rows(app)
    assert (bob.state, bob.last_error) == ("set aside", "550 no such user here")
    assert {row.state for row in others} == {"delivered"}


@pytest.mark.parametrize("answer", ["450 greylisted", "451 try later", "452 mailbox is full"])
def test_a_refusal_for_now_is_tried_again(app: Flask, office: PostOffice, answer: str) -> None:
    office.refusals["ada@example.com"] = answer
    queue(app)
    deliver(app)
    before = only_row(app).state
    office.refusals.clear()
    make_due(app)

    deliver(app)

    assert before == "waiting"
    assert only_row(app).state == "delivered"


@pytest.mark.parametrize(
    ("answer", "state"), [("554 looks like spam", "set aside"), ("421 going down", "waiting")]
)
def test_a_refusal_of_the_content_counts_like_one_of_the_recipient(
    app: Flask, office: PostOffice, answer: str, state: str
) -> None:
    office.answers_to_data["ada@example.com"] = answer
    queue(app)

    deliver(app)

    assert only_row(app).state == state


def test_a_server_that_refuses_everybody_at_the_door_loses_no_mail(
    app: Flask, set_settings: Change
) -> None:
    with grumpy_server(b"554 your address is on a list\r\n") as port:
        set_settings(mail_url=f"smtp://127.0.0.1:{port}")
        queue(app)

        deliver(app)

    assert only_row(app).state == "waiting"


def test_a_server_that_hangs_is_taken_for_away(
    app: Flask, office: PostOffice, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transport, "TIMEOUT_SECONDS", 0.3)
    office.hanging.add("bob@example.com")
    queue(app, to="bob@example.com")
    queue(app, to="ada@example.com")

    deliver(app)

    assert [row.state for row in rows(app)] == ["waiting", "delivered"]


def test_a_recipient_on_whom_the_server_hangs_delays_nobody(
    app: Flask, office: PostOffice, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transport, "TIMEOUT_SECONDS", 8)
    office.hanging.add("bob@example.com")
    queue(app, to="bob@example.com")
    for number in range(5):
        queue(app, to=f"ada+{number}@example.com")
    stop = threading.Event()
    thread = threading.Thread(target=deliverer.run, args=(app, stop))
    thread.start()
    until(lambda: len(office.letters) == 5)
    queue(app, to="grace@example.com")

    until(lambda: office.to("grace@example.com"))

    bob = rows(app)[0]
    stop.set()
    thread.join()
    assert (bob.attempts, bob.last_error) == (1, None)


def test_mails_whose_answer_takes_long_do_not_stop_the_others(
    app: Flask, office: PostOffice, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deliverer, "SLOW_SECONDS", 0.3)
    for number in range(2 * deliverer.THREADS):
        office.seconds_before_answer[f"ada+{number}@example.com"] = 5
        queue(app, to=f"ada+{number}@example.com")
    queue(app, to="grace@example.com")

    with delivering(app):
        until(lambda: rows(app)[-1].state == "delivered")
        others = [row.state for row in rows(app)[:-1]]
        until(lambda: {row.state for row in rows(app)} == {"delivered"})

    assert others == ["waiting"] * 2 * deliverer.THREADS
    assert {row.attempts for row in rows(app)} == {1}


@pytest.mark.parametrize(("slow_seconds", "most"), [(0.0, 6), (3600.0, deliverer.THREADS)])
def test_deliveries_at_once_are_limited_however_slow_they_are(
    app: Flask,
    office: PostOffice,
    monkeypatch: pytest.MonkeyPatch,
    slow_seconds: float,
    most: int,
) -> None:
    monkeypatch.setattr(deliverer, "SLOW_SECONDS", slow_seconds)
    monkeypatch.setattr(deliverer, "MOST_AT_ONCE", 6)
    for number in range(8):
        office.hanging.add(f"ada+{number}@example.com")
        queue(app, to=f"ada+{number}@example.com")

    with delivering(app):
        until(lambda: sum(row.attempts for row in rows(app)) == most)
        time.sleep(0.5)
        tried = sum(row.attempts for row in rows(app))

    assert tried == most


@contextmanager
def delivering(app: Flask) -> Iterator[None]:
    """A deliverer, which is stopped in the end."""
    stop = threading.Event()
    thread = threading.Thread(target=deliverer.run, args=(app, stop))
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def test_a_server_that_dies_before_it_confirms_gets_the_same_mail_again(
    app: Flask, office: PostOffice
) -> None:
    office.dying["ada@example.com"] = 1
    queue(app, messages.verify_email, token="a-token")
    queue(app, to="bob@example.com")
    deliver(app)
    states = [row.state for row in rows(app)]
    make_due(app)

    deliver(app)

    first, again = office.to("ada@example.com")
    assert states == ["waiting", "delivered"]
    assert first.headers["Message-ID"] == again.headers["Message-ID"]
    assert first.link == again.link
    assert len(office.to("bob@example.com")) == 1


@pytest.mark.parametrize("farewell", ["421 too busy", "500 what?", None])
def test_a_server_that_took_the_mail_and_says_no_goodbye_gets_it_once(
    app: Flask, office: PostOffice, farewell: str | None
) -> None:
    office.answer_to_quit = farewell
    queue(app)
    deliver(app)
    make_due(app)

    tried_again = deliver(app)

    row = only_row(app)
    assert (row.state, row.attempts, row.last_error) == ("delivered", 1, None)
    assert tried_again == 0
    assert len(office.letters) == 1


# Injection


@pytest.mark.parametrize(
    "address",
    [
        "ada@example.com\r\nBcc: bob@example.com",
        "ada@example.com\nSubject: mine",
        "ada@example.com, bob@example.com",
        "ada@example.com>\r\nRCPT TO:<bob@example.com",
    ],
)
def test_no_address_adds_a_header_or_a_recipient(
    app: Flask, office: PostOffice, address: str
) -> None:
    queue(app, to=address)

    deliver(app)

    assert office.to("bob@example.com") == []
    for letter in office.letters:
        assert letter.headers["Bcc"] is None
        assert letter.headers["Subject"] == "Your email address is in use already"


@pytest.mark.parametrize(
    "address",
    [
        "ada@example.com\r\nBcc: bob@example.com",
        "ada@example.com,bob@example.com",
        "Ada <ada@example.com>",
        "ada@example.com\x00bob@example.com",
    ],
)
def test_nobody_registers_an_address_that_is_more_than_one(
    app: Flask, client: FlaskClient, address: str
) -> None:
    account = {"email": address, "username": "ada", "password": PASSWORD}

    response = client.post(f"{API}/auth/register", json=account)

    assert response.status_code == 422
    assert rows(app) == []


def test_no_name_gets_into_a_header(app: Flask, office: PostOffice) -> None:
    bob = make_user(
        app, username="bob", email="bob@example.com", full_name="Bob\r\nBcc: ada@example.com"
    )
    queue(
        app,
        messages.new_device,
        to=bob.email,
        user=bob,
        token="a-token",
        when="now",
        ip="::1",
        device="Browser\r\nBcc: ada@example.com\r\n\r\n.\r\nRCPT TO:<ada@example.com>",
    )

    deliver(app)

    (letter,) = office.letters
    assert letter.headers["Bcc"] is None
    assert set(letter.headers.keys()) <= {
        *("Message-ID", "From", "To", "Subject", "Date", "Auto-Submitted"),
        *("MIME-Version", "Content-Type"),
    }


# Not by SMTP


def test_the_console_shows_the_link(
    app: Flask, set_settings: Change, capsys: pytest.CaptureFixture[str]
) -> None:
    set_settings(mail_url="console://")
    queue(app, messages.verify_email, token="a-token")

    deliver(app)

    shown = capsys.readouterr()
    assert shown.out == ""
    assert "ada@example.com" in shown.err
    assert "http://localhost:8000/account/verify-email#token=a-token" in shown.err


def test_the_log_says_where_a_connection_was_refused_and_not_by_which_password(
    app: Flask, set_settings: Change, caplog: pytest.LogCaptureFixture
) -> None:
    with open_office(office := PostOffice()):
        pass
    set_settings(mail_url=f"smtp://post:hunter2@127.0.0.1:{office.port}")
    queue(app)

    deliver(app)

    (record,) = (record for record in caplog.records if record.name == "app.mail.outbox")
    assert vars(record)["reason"] == (
        f"ConnectionRefusedError: Connection refused (127.0.0.1:{office.port})"
    )
    assert "hunter2" not in str(vars(record))


def test_the_log_has_the_code_of_a_mail_server_and_not_its_words(
    app: Flask, office: PostOffice, caplog: pytest.LogCaptureFixture
) -> None:
    office.refusals["ada@example.com"] = "451 ada@example.com is greylisted"
    queue(app, to="ada@example.com")

    deliver(app)

    (record,) = (record for record in caplog.records if record.name == "app.mail.outbox")
    assert vars(record)["reason"] == f"SMTPRecipientsRefused 451 (127.0.0.1:{office.port})"
    assert "greylisted" not in str(vars(record))


def test_a_folder_that_cannot_be_written_loses_no_mail(
    app: Flask, set_settings: Change, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("not a folder")
    set_settings(mail_url=f"file://{tmp_path / 'file'}")
    queue(app)

    deliver(app)

    assert only_row(app).state == "waiting"


@pytest.mark.parametrize("folder", ["/etc/passwd", "/proc/1", "/dev/null/mail", "/" + "a" * 300])
def test_a_folder_in_which_no_mail_can_be_written_stops_the_start(
    make_app: Callable[..., Flask], folder: str
) -> None:
    with pytest.raises(SettingsRefused, match="MAIL_URL names the folder"):
        make_app(MAIL_URL=f"file://{folder}")


def test_the_folder_of_the_mails_is_made_at_the_start_and_stays_empty(
    make_app: Callable[..., Flask], tmp_path: Path
) -> None:
    make_app(MAIL_URL=f"file://{tmp_path / 'new' / 'letters'}")

    assert list((tmp_path / "new" / "letters").iterdir()) == []


class grumpy_server:  # noqa: N801 — reads as what it is
    """Says one thing to whoever connects, and hangs up."""

    def __init__(self, greeting: bytes) -> None:
        self.greeting = greeting

    def __enter__(self) -> int:
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.thread = threading.Thread(target=self._greet)
        self.thread.start()
        port: int = self.listener.getsockname()[1]
        return port

    def __exit__(self, *_: object) -> None:
        self.thread.join()
        self.listener.close()

    def _greet(self) -> None:
        connection, _ = self.listener.accept()
        with connection:
            connection.sendall(self.greeting)


# The sender


@pytest.mark.parametrize(
    ("mail_from", "name", "address"),
    [
        ("Acme, Inc. <no-reply@example.com>", "Acme, Inc.", "no-reply@example.com"),
        ('"Acme, Inc." <no-reply@example.com>', "Acme, Inc.", "no-reply@example.com"),
        ('Acme "Best" \\ Co: <no-reply@example.com>', 'Acme "Best" \\ Co:', "no-reply@example.com"),
        ("账户, 中心 <no-reply@example.com>", "账户, 中心", "no-reply@example.com"),
        (
            "Größe; (Team) <no-reply@bücher.example>",
            "Größe; (Team)",
            "no-reply@xn--bcher-kva.example",
        ),
        ("no-reply@example.com", "User System", "no-reply@example.com"),
        ("<no-reply@example.com>", "User System", "no-reply@example.com"),
        ("x" * 300 + " <no-reply@example.com>", "x" * 300, "no-reply@example.com"),
        ("账户 " * 60 + "<no-reply@example.com>", ("账户 " * 60).strip(), "no-reply@example.com"),
    ],
)
def test_the_sender_arrives_as_the_operator_wrote_it(
    app: Flask, office: PostOffice, set_settings: Change, mail_from: str, name: str, address: str
) -> None:
    assert mail_settings.mail_from(mail_from) == mail_from
    set_settings(mail_from=mail_from)
    queue(app, messages.verify_email, token="a-token")

    deliver(app)

    (envelope,) = office.envelopes
    header = message_from_bytes(raw(envelope))["From"]
    written, _, rest = header.rpartition(" <")
    # Python's parser of addresses puts spaces between encoded words; RFC 2047 §6.2 does not.
    read = str(make_header(decode_header(written))).strip()
    assert re.sub(r"\\(.)", r"\1", read.strip('"') if read.startswith('"') else read) == name
    assert (rest.rstrip(">") or header) == address
    assert envelope.mail_from == address
    assert max(map(len, raw(envelope).splitlines())) <= 998


@pytest.mark.parametrize("length", [61, 62, 100, 200, 253])
def test_a_long_domain_of_the_sender_lets_people_register_and_get_their_mail(
    app: Flask, client: FlaskClient, office: PostOffice, set_settings: Change, length: int
) -> None:
    domain = ("d" * 40 + ".") * 7 + "example.com"
    domain = domain[len(domain) - length :].lstrip(".").rjust(length, "x")
    set_settings(mail_from=f"Example <{'l' * 64}@{domain}>")
    account = {"email": "bob@example.com", "username": "bob", "password": PASSWORD}

    response = client.post(f"{API}/auth/register", json=account)
    deliver(app)

    assert mail_settings.mail_from(f"a@{domain}")
    assert response.status_code == 201
    (letter,), (envelope,) = office.letters, office.envelopes
    assert envelope.mail_from == f"{'l' * 64}@{domain}"
    assert len(letter.headers["Message-ID"]) <= 100
    assert letter.headers["Message-ID"] == only_row(app).message_id


def test_a_mail_is_seven_bits_wide_whatever_is_in_it(
    app: Flask, office: PostOffice, ada: User, set_settings: Change
) -> None:
    ada.locale = "zh"
    set_settings(
        mail_from="账户 <no-reply@bücher.example>", public_url="https://example.com/" + "x" * 900
    )
    queue(app, messages.verify_email, to=ada.email, user=ada, token="a-token")

    deliver(app)

    (envelope,) = office.envelopes
    assert raw(envelope).isascii()
    assert b"8bit" not in raw(envelope).lower()
    assert max(map(len, raw(envelope).splitlines())) <= 998
    assert office.letters[0].link.endswith("#token=a-token")


def test_a_line_that_begins_with_a_dot_arrives_whole(app: Flask, office: PostOffice) -> None:
    queue(app, messages.deletion_asked, **NOTICE, due="\n.\n..\n.end")

    deliver(app)

    assert "\n.\n..\n.end" in office.letters[0].text.replace("\r\n", "\n")


NOTICE = {"token": "a-token", "when": "now", "ip": "::1", "device": ""}


def raw(envelope: Envelope) -> bytes:
    assert isinstance(envelope.content, bytes)
    return envelope.content


# Logging in


@pytest.mark.parametrize("login", [("mäiler", "pässwörd, 密码"), ("mailer", "12/3#?@:% 4")])
@pytest.mark.parametrize("refused", [[], ["PLAIN"]])
def test_a_login_may_hold_any_characters(
    app: Flask,
    trusted: Certificate,
    set_settings: Change,
    login: tuple[str, str],
    refused: list[str],
) -> None:
    office = PostOffice(login=login)
    with open_office(
        office,
        tls_context=trusted.context(),
        authenticator=office.log_in,
        auth_required=True,
        auth_exclude_mechanism=refused,
    ):
        user, password = (quote(part, safe="") for part in login)
        set_settings(mail_url=f"smtp://{user}:{password}@localhost:{office.port}?tls=starttls")
        queue(app)

        deliver(app)

    assert office.logins == [login[0]]
    assert only_row(app).state == "delivered"


def test_a_password_that_was_not_escaped_means_what_it_says(
    app: Flask, trusted: Certificate, set_settings: Change
) -> None:
    office = PostOffice(login=("u", "12/3"))
    with open_office(
        office, tls_context=trusted.context(), authenticator=office.log_in, auth_required=True
    ):
        set_settings(mail_url=f"smtp://u:12/3@localhost:{office.port}?tls=starttls")
        queue(app)

        deliver(app)

    assert only_row(app).state == "delivered"


def test_a_wrong_login_is_no_fault_of_the_mail(
    app: Flask, trusted: Certificate, set_settings: Change
) -> None:
    office = PostOffice()
    with open_office(
        office, tls_context=trusted.context(), authenticator=office.log_in, auth_required=True
    ):
        set_settings(mail_url=f"smtp://u:wrong@localhost:{office.port}?tls=starttls")
        queue(app)

        deliver(app)

    assert only_row(app).state == "waiting"
    assert office.letters == []


# A slow answer


def test_a_server_that_thinks_long_about_a_message_gets_it_once(
    app: Flask, office: PostOffice, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transport, "TIMEOUT_SECONDS", 0.3)
    office.seconds_before_answer["ada@example.com"] = 1.5
    queue(app)

    deliver(app)

    row = only_row(app)
    assert (row.state, row.attempts, row.last_error) == ("delivered", 1, None)
    assert len(office.letters) == 1


def test_the_answer_to_a_message_may_take_ten_minutes_and_the_lease_is_longer() -> None:
    # Connecting, the greeting, EHLO twice, STARTTLS and its handshake, AUTH with two questions,
    # MAIL, RCPT, DATA, the message itself, and QUIT.
    others = 14 * transport.TIMEOUT_SECONDS

    assert transport.FINAL_TIMEOUT_SECONDS >= 600
    longest = timedelta(seconds=others + transport.FINAL_TIMEOUT_SECONDS)
    assert longest < delivery.LONGEST_DELIVERY < delivery.LEASE
