"""What surrounds the words of a mail, and that the text of strangers stays text."""

import email
from collections.abc import Callable, Iterator
from email import policy
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import update

from app.extensions import db
from app.mail import composing, messages, names, outbox, rendering, transport, wordings
from app.mail.content import Content
from app.models import OutboxMessage, User
from configuration.brand import lightened
from tests.cases import each
from tests.mail.letters import Letter, arguments_of, deliver, queue, rows
from tests.mail.test_messages import CONTEXT, MESSAGES, Page, context_of

Write = Callable[..., Letter]
Change = Callable[..., None]

# Arguments of the mails that a version before this one may have left in an outbox.
QUEUED_BEFORE = {
    "verify_email": "token",
    "account_exists": "token minutes",
    "invitation": "token",
    "deletion_asked": "token when ip device due",
    "many_deletions_asked": "token when ip device",
    "confirm_email_change": "token",
    "address_in_use": "",
    "email_change_asked": "token new_email when ip device",
    "many_email_changes_asked": "token when ip device",
    "new_device": "token when ip device",
    "many_new_devices": "token when ip device",
    "refresh_token_reused": "token when ip device",
    "many_refresh_tokens_reused": "token when ip device",
    "password_reset": "token minutes",
    "account_recovery": "token minutes",
    "password_changed": "token when ip device",
    "many_password_changes": "token when ip device",
    "factor_added": "factor token when ip device",
    "factor_removed": "factor token when ip device",
    "factors_reset": "token when ip device",
    "second_step_switched_off": "token when ip device",
    "recovery_codes_made": "token when ip device",
    "recovery_code_used": "left token when ip device",
    "few_recovery_codes_left": "left token when ip device",
    "wrong_codes": "token when ip device",
    "many_factor_changes": "token when ip device",
    "passkey_copied": "added token when ip device",
}

PAYLOADS = (
    "<script>alert(1)</script>",
    "</title><script>alert(1)</script>",
    "</style><img src=x onerror=alert(1)>",
    '"><svg onload=alert(1)>',
    "' onmouseover='alert(1)",
    '" style="position:fixed" x="',
    "<a href='https://evil.example'>Log in</a>",
    "<!-- ",
    "--> <p>",
    "<![CDATA[<p>]]>",
    "&lt;script&gt;",
    "&#60;script&#62;",
    "javascript:alert(1)",
    "{{ 7 * 7 }}{% raw %}",
    "%(token)s %s %d",
    "</td></tr></table><h1>You won</h1>",
    "<base href='https://evil.example/'>",
    "<meta http-equiv=refresh content='0;url=https://evil.example'>",
    "} body { display: none } .x {",
    "\u202e<form action=https://evil.example><input>",
)


@pytest.fixture
def write(app: Flask, ada: User) -> Iterator[Write]:
    """Write a mail to Ada as it would be delivered, and read it."""
    with app.app_context():

        def written(
            message: Callable[..., Content], locale: str = "en", to: str = ada.email, **context: Any
        ) -> Letter:
            row = OutboxMessage(
                user_id=ada.id,
                recipient=to,
                message=wordings.name_of(message),
                locale=locale,
                sealed=outbox.seal(context_of(message) | context),
            )
            letter = composing.compose(rendering.render(row), to=to, message_id="<1@localhost>")
            return Letter.parse(letter.as_bytes)

        yield written


# Whose mail it is


def test_each_mail_says_whose_it_is_for_which_account_and_why(
    write: Write, set_settings: Change
) -> None:
    set_settings(brand_name="Acme", support_email="help@acme.example")
    for message in MESSAGES:
        for locale, name, why in (
            ("en", "Username", "You get this mail because"),
            ("zh", "用户名", "您收到此邮件，是因为"),
        ):
            letter = write(message, locale)

            page = Page(letter.html)
            assert f'<html lang="{locale}">' in letter.html
            assert letter.text.startswith("Acme\n\n"), message
            assert f"\n{name}: ada\n" in letter.text, message
            for part in (letter.text, page.text):
                assert why in part, message
                assert part.count("Acme") >= 2, message
                assert "help@acme.example" in part
            assert "mailto:help@acme.example" in page.links


def test_a_name_that_ends_with_a_dot_does_not_end_a_sentence(
    write: Write, set_settings: Change
) -> None:
    set_settings(brand_name="Acme, Inc.")

    assert [message for message in MESSAGES if ".." in write(message).text] == []


def test_without_an_address_for_help_a_mail_says_nothing_about_questions(write: Write) -> None:
    for locale, question in (("en", "question"), ("zh", "疑问")):
        letter = write(messages.new_device, locale)

        assert question not in letter.text + letter.html
        assert "mailto:" not in letter.html


def test_a_mail_without_a_reason_of_its_own_says_to_which_address_it_was_sent(
    write: Write,
) -> None:
    name = "acme_order_shipped"
    if name not in wordings._messages:
        wordings.message(name)(lambda: Content("Your order is on its way", ("It was sent.",)))

    letter = write(wordings.message_called(name))

    assert letter.text.endswith("----\nUser System sent this mail to ada@example.com.\n")


def test_a_list_of_mails_shows_something_other_than_the_subject(write: Write) -> None:
    for message in MESSAGES:
        letter = write(message)

        subject, page = letter.headers["Subject"], Page(letter.html)
        (preheader,) = page.hidden
        assert len(preheader) > 30, message
        assert subject not in preheader
        assert len(subject) <= 60
    assert "2026-11-22 08:00 UTC · " in write(messages.new_device).html


def test_a_mail_can_be_read_on_a_phone_and_in_the_dark(write: Write) -> None:
    html = write(messages.new_device).html

    assert '<meta name="viewport" content="width=device-width, initial-scale=1">' in html
    assert '<meta name="color-scheme" content="light dark">' in html
    assert "@media (prefers-color-scheme: dark)" in html


def test_a_mail_has_the_brand_color_and_another_in_the_dark(
    write: Write, set_settings: Change
) -> None:
    set_settings(brand_color="#00008b")

    html = write(messages.new_device).html

    light, dark = html.split("prefers-color-scheme: dark", 1)[1].split("<body", 1)[::-1]
    assert "background:#00008b" in light
    assert "#00008b" not in dark
    assert dark.count(lightened("#00008b")) == 2


@each(
    ("mail_from", "name"),
    [("no-reply@acme.example", "Acme"), ("Post, Ltd. <no-reply@acme.example>", "Post, Ltd.")],
)
def test_the_sender_is_called_like_the_product_unless_mail_from_has_a_name(
    write: Write, set_settings: Change, mail_from: str, name: str
) -> None:
    set_settings(brand_name="Acme", mail_from=mail_from)

    (sender,) = write(messages.address_in_use).headers["From"].addresses

    assert (sender.display_name, sender.addr_spec) == (name, "no-reply@acme.example")


# The text of strangers


def test_no_text_becomes_markup(write: Write, set_settings: Change, ada: User) -> None:
    def page(message: Callable[..., Content], text: str) -> Page:
        """A mail that has this text wherever it has a text."""
        set_settings(brand_name=text, support_email=text)
        call(ada, text[:50])
        stored = arguments_of(message) - {"token"}
        numbers = {name for name in stored if isinstance(CONTEXT[name], int)}
        return Page(write(message, **dict.fromkeys(stored - numbers, text)).html)

    cases = [(message, "".join(PAYLOADS)) for message in MESSAGES]
    cases += [(messages.invitation, payload) for payload in PAYLOADS]
    for message, text in cases:
        found, plain = page(message, text), page(message, "harmless")

        # The elements and their attributes are those of harmless text, but for one address.
        assert plain.links.pop() == "mailto:harmless"
        assert found.links.pop() == f"mailto:{text}"
        assert found.tags_and_styles == plain.tags_and_styles, (message, text)
        assert found.links == plain.links
        # An address that somebody else chose is cut.
        assert found.text.count(text[:50]) >= plain.text.count("harmless") - 1 > 2, (message, text)


def call(user: User, username: str) -> None:
    db.session.execute(update(User).where(User.id == user.id).values(username=username))
    db.session.commit()


def test_no_name_gets_into_a_header(write: Write, set_settings: Change) -> None:
    name = "Grace\r\nBcc: bob@example.com\r\n\r\nText"
    set_settings(brand_name=name)

    letter = write(messages.invitation, inviter=name)

    raw = email.message_from_bytes(letter.headers.as_bytes(), policy=policy.default)
    assert raw["Bcc"] is None
    assert len(raw["To"].addresses) == 1


@each(
    ("full_name", "shown"),
    [
        ("Grace Hopper", "Grace Hopper"),
        ("Dr. Grace B. Hopper", "Dr. Grace B. Hopper"),
        ("J.R.R. Tolkien", "J.R.R. Tolkien"),
        ("格蕾丝·霍珀", "格蕾丝·霍珀"),
        *((name, "gr.\u2060ace") for name in ("", None, "G" * 51)),
        *((name, "gr.\u2060ace") for name in ("http://evil", "evil.example", "WWW evil")),
        *((name, "gr.\u2060ace") for name in ("x@evil", "evil．example", "例。中国", "a/b")),
    ],
)
def test_a_full_name_that_looks_like_a_link_is_not_mailed(full_name: str, shown: str) -> None:
    assert names.shown_name(User(username="gr.ace", full_name=full_name)) == shown


def test_a_username_is_not_a_link_until_the_address_is_confirmed(
    app: Flask, write: Write, bob: User, ada: User
) -> None:
    call(ada, "evil.example")

    to_her = write(messages.new_device)
    to_a_stranger = write(messages.confirm_email_change, to="bob@example.com")

    assert "Username: evil.example\n" in to_her.text
    assert "evil.example" not in to_a_stranger.text + to_a_stranger.html
    assert "Username: evil.\u2060example\n" in to_a_stranger.text


# Mails that wait while the server is replaced


def test_mails_that_an_earlier_version_queued_are_delivered(
    app: Flask, ada: User, letters: Callable[[], list[Letter]]
) -> None:
    for name, arguments in QUEUED_BEFORE.items():
        context = {argument: CONTEXT[argument] for argument in arguments.split()}
        queue(app, wordings.message_called(name), to=ada.email, user=ada, **context)

    deliver(app)

    assert [(row.message, row.last_error) for row in rows(app) if not row.delivered_at] == []
    assert len(letters()) == len(QUEUED_BEFORE)
    assert any(
        letter.headers["Subject"] == "Your invitation to User System" for letter in letters()
    )


def test_the_connection_to_the_database_is_free_while_a_mail_is_sent(
    app: Flask, ada: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    in_transaction = []
    monkeypatch.setattr(
        transport,
        "send",
        lambda *_, **__: in_transaction.append(db.session().in_transaction()),
    )
    queue(app, messages.address_in_use, to=ada.email, user=ada)

    deliver(app)

    assert in_transaction == [False]
