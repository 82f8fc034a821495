"""The page of the second factors, and those of the app, the recovery codes and the devices."""

import re
from collections.abc import Callable, Iterator
from urllib.parse import unquote

import pytest
import time_machine
from flask import Flask
from flask.testing import FlaskClient

import app as product
from app.models import User
from tests.auth.mfa.phone import Phone, enrol, go_on, ticket_of
from tests.cases import each
from tests.cookies import sign_in
from tests.pages.person import Page, Person

NOON = "2026-11-27T12:00:15Z"
SECURITY = "/account/security"
A_CODE = re.compile(r"<code>((?:[0-9a-z]{4}-){3}[0-9a-z]{4})</code>")


@pytest.fixture(autouse=True)
def clock() -> Iterator[time_machine.Traveller]:
    """Time stands still, in the middle of a time step of the codes."""
    with time_machine.travel(NOON, tick=False) as traveller:
        yield traveller


@pytest.fixture
def phone(client: FlaskClient, ada: User) -> Phone:
    return enrol(client, ada)


@pytest.fixture
def ada_with_app(app: Flask, ada: User, phone: Phone) -> Person:
    """Ada has an authenticator app, and signed in with it."""
    person = Person(app)
    sign_in(person.client, ada, otp=phone.code())
    return person


def set_up(person: Person) -> tuple[Page, Phone]:
    """Begin to set up an authenticator app."""
    intro = person.open(f"{SECURITY}/totp")
    shown = person.send(intro, f"{SECURITY}/totp")
    return shown, Phone(shown.form().fields["secret"], [], "")


def test_an_authenticator_app_is_set_up(ada_at_home: Person, app: Flask, ada: User) -> None:
    elsewhere = Person(app)
    elsewhere.log_in(ada)
    assert f"{SECURITY}/totp" in ada_at_home.open(SECURITY).links
    shown, phone = set_up(ada_at_home)
    assert "<svg" in shown.html
    assert phone.secret in "".join(shown.text.split())

    done = ada_at_home.send(shown, otp=phone.code())

    assert (done.status, done.heading) == (200, "Your recovery codes")
    assert done.notice == "Your authenticator app is set up. All other devices are signed out."
    codes = A_CODE.findall(done.html)
    assert len(codes) == 10
    [file] = [link for link in done.links if link.startswith("data:")]
    assert unquote(file).splitlines()[2:] == codes
    overview = ada_at_home.open(SECURITY)
    assert "Second step on" in overview.text
    assert "10 left" in overview.text
    assert not A_CODE.search(overview.html)
    assert elsewhere.open("/account").path == "/account/login"


def test_a_wrong_first_code_shows_the_same_qr_code_again(ada_at_home: Person) -> None:
    shown, phone = set_up(ada_at_home)

    wrong = ada_at_home.send(shown, otp="000000")
    chinese = ada_at_home.send(shown, press="中文", otp="000000")

    assert (wrong.status, list(wrong.errors)) == (422, ["otp"])
    for page in (wrong, chinese):
        assert "<svg" in page.html
        assert page.form().fields["secret"] == phone.secret
    assert "000000" not in wrong.lasting_html
    assert ada_at_home.send(wrong, otp=phone.code()).status == 200


def test_a_secret_that_the_browser_does_not_have_is_not_told(
    ada_at_home: Person, app: Flask, ada: User
) -> None:
    """Somebody else at the account may have made it, to learn the codes of its owner."""
    thief = Person(app)
    thief.log_in(ada)
    _, of_thief = set_up(thief)
    thiefs_page = ada_at_home.open(f"{SECURITY}/totp")
    mine, _ = set_up(ada_at_home)

    guessed = ada_at_home.send(mine, otp="000000", secret="A" * 32)

    assert of_thief.secret not in thiefs_page.html + mine.html
    assert "<svg" not in guessed.html


def test_to_send_the_first_code_twice_is_harmless(ada_at_home: Person) -> None:
    """A browser does it when the page with the recovery codes is loaded again."""
    shown, phone = set_up(ada_at_home)
    ada_at_home.send(shown, otp=phone.code())

    again = ada_at_home.send(shown, otp=phone.code())

    assert (again.status, again.heading) == (403, "Send the form once more")
    assert f"{SECURITY}/totp" in again.links
    assert ada_at_home.open(f"{SECURITY}/totp").path == SECURITY


def test_the_app_is_removed(ada_with_app: Person) -> None:
    page = ada_with_app.open(SECURITY)

    answer = ada_with_app.send(page, f"{SECURITY}/totp/remove")

    shown = ada_with_app.follow(answer)
    assert shown.notice == "Your authenticator app is removed."
    assert "Second step off" in shown.text
    assert "Recovery codes" not in shown.text


def test_the_second_step_is_turned_off_and_on(ada_with_app: Person) -> None:
    page = ada_with_app.open(SECURITY)

    off = ada_with_app.follow(ada_with_app.send(page, f"{SECURITY}/second-step"))
    on = ada_with_app.follow(ada_with_app.send(off, f"{SECURITY}/second-step"))

    assert off.notice.startswith("The second step is off.")
    assert on.notice.startswith("The second step is on.")


def test_without_a_factor_the_second_step_cannot_be_turned_on(ada_at_home: Person) -> None:
    page = ada_at_home.open(SECURITY)
    fields = {"csrf_token": page.forms[0].fields["csrf_token"], "enabled": "true"}

    answer = Page(ada_at_home.ask("POST", f"{SECURITY}/second-step", data=fields))

    assert answer.status == 422
    assert "Set up an authenticator app or add a passkey first." in answer.summary


def test_new_recovery_codes_replace_the_old_ones(
    ada_with_app: Person, client: FlaskClient, ada: User, phone: Phone
) -> None:
    assert f"{SECURITY}/recovery-codes" in ada_with_app.open(SECURITY).links
    page = ada_with_app.open(f"{SECURITY}/recovery-codes")
    assert "The codes that you have now stop working." in page.text

    shown = ada_with_app.send(page, f"{SECURITY}/recovery-codes")

    codes = A_CODE.findall(shown.html)
    assert len(codes) == 10
    ticket = ticket_of(client, ada)
    assert go_on(client, ticket, recovery_code=phone.recovery_codes[0]).status_code == 403
    assert go_on(client, ticket, recovery_code=codes[0]).status_code == 200
    assert "9 left" in ada_with_app.open(SECURITY).text


def test_remembered_devices_are_listed_and_forgotten(
    ada_with_app: Person, client: FlaskClient, ada: User, phone: Phone
) -> None:
    assert "No device is remembered." in ada_with_app.open(SECURITY).text
    for code in phone.recovery_codes[:3]:
        go_on(client, ticket_of(client, ada), recovery_code=code, remember_device=True)
    page = ada_with_app.open(SECURITY)
    [first, *others] = [form.action for form in page.forms if form.action.endswith("/forget")]
    assert len(others) == 3

    one = ada_with_app.follow(ada_with_app.send(page, first))
    twice = ada_with_app.follow(ada_with_app.send(page, first))
    rest = ada_with_app.follow(ada_with_app.send(page, f"{SECURITY}/remembered-devices/forget"))

    assert one.notice == twice.notice
    assert one.notice.startswith("The device is forgotten.")
    assert sum(form.action.endswith("/forget") for form in one.forms) == 3
    assert rest.notice.startswith("All devices are forgotten.")
    assert "No device is remembered." in rest.text


STALE = [
    ("GET", "/totp", "/totp"),
    ("POST", "/totp", "/totp"),
    ("POST", "/totp/confirm", "/totp"),
    ("POST", "/totp/remove", "/totp"),
    ("POST", "/second-step", ""),
    ("GET", "/recovery-codes", "/recovery-codes"),
    ("POST", "/recovery-codes", "/recovery-codes"),
    ("POST", "/remembered-devices/forget", ""),
    ("POST", "/remembered-devices/00000000-0000-4000-8000-000000000000/forget", ""),
    ("GET", "/passkeys/new", "/passkeys/new"),
    ("POST", "/passkeys/new", "/passkeys/new"),
    ("POST", "/passkeys/00000000-0000-4000-8000-000000000000/remove", None),
]


def test_whoever_proved_it_long_ago_proves_it_again_and_comes_back(
    ada_at_home: Person, clock: time_machine.Traveller
) -> None:
    token = ada_at_home.open(SECURITY).forms[0].fields["csrf_token"]
    clock.shift(3600)

    for method, path, back in STALE:
        answer = ada_at_home.ask(method, SECURITY + path, data={"csrf_token": token})

        assert answer.status_code == 303, path
        location = unquote(answer.headers["Location"])
        goal = f"{SECURITY}{path.removesuffix('/remove') if back is None else back}"
        assert location == f"/account/reauthenticate?next={goal}"


def test_who_must_have_a_factor_is_led_here_and_goes_on_after_it(
    make_app: Callable[..., Flask], ada: User
) -> None:
    person = Person(make_app(MFA_REQUIRED="all"))
    led = person.log_in(ada)
    assert led.path == SECURITY
    assert "Your account must have a second factor." in led.text
    shown, phone = set_up(person)
    person.send(shown, otp=phone.code())

    page = person.open(SECURITY)
    removal = person.send(page, f"{SECURITY}/totp/remove")

    assert person.open("/account").path == "/account"
    assert f"{SECURITY}/second-step" not in [form.action for form in page.forms]
    assert removal.status == 422
    assert "cannot be removed" in removal.summary


# What is left when features are taken out


@each(
    "without, lost, paths",
    [
        ({"passkeys"}, ["Passkeys"], ["/passkeys/new"]),
        ({"totp"}, ["Authenticator app"], ["/totp"]),
        ({"recovery_codes"}, ["Recovery codes"], ["/recovery-codes"]),
        ({"remembered_devices"}, ["Remembered devices"], []),
        ({"mfa", "totp", "recovery_codes", "remembered_devices", "passkeys"}, None, ["", "/totp"]),
    ],
)
def test_pages_go_with_their_feature(
    new_app: Callable[..., Flask],
    phone: Phone,
    ada: User,
    bob: User,
    without: set[str],
    lost: list[str] | None,
    paths: list[str],
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        left = tuple(one for one in product.OPTIONAL if one.name not in without)
        patch.setattr(product, "OPTIONAL", left)
        person = Person(new_app())
    if "mfa" in without:
        sign_in(person.client, bob)
    elif "recovery_codes" in without:
        sign_in(person.client, ada, otp=phone.code())
    else:
        sign_in(person.client, ada, recovery_code=phone.recovery_codes.pop())

    assert person.open("/account").status == 200
    page = person.open(SECURITY)
    assert (page.status == 200) is (lost is not None)
    assert not [words for words in lost or () if words in page.text]
    assert (SECURITY in person.open("/account").links) is (lost is not None)
    for path in paths:
        assert person.ask("GET", SECURITY + path).status_code == 404
    assert person.ask("GET", "/openapi.json").status_code == 200
    login = Person(person.client.application).open("/account/login")
    assert ("passkey" in login.html) is ("passkeys" not in without)
