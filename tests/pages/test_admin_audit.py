"""The pages of the audit log."""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from flask import Flask
from flask_babel import force_locale

from app import OPTIONAL
from app.access.permissions import EVERYTHING, Rights
from app.audit import checks, sealing
from app.audit.links import Broken
from app.audit.verification import Verdict
from app.audit.vocabulary import Event
from app.extensions import db
from app.models import AuditEvent, User
from app.pages.admin import event_sentences
from tests.audit.log import write, write_and_seal
from tests.factories import permit
from tests.pages.person import Page, Person, signed_in

PATH = "/admin/audit"


def listed(page: Page) -> list[int]:
    """The numbers of the events that the page shows."""
    links = [link for link in page.links if link.startswith(f"{PATH}/")]
    return [int(link.rpartition("/")[2]) for link in links]


@pytest.fixture
def written(app: Flask, ada: User, bob: User) -> Callable[..., int]:
    """Writes one event, long after all others."""
    at = datetime(2100, 1, 1, tzinfo=UTC)

    def write_one(**columns: Any) -> int:
        with app.app_context():
            given = {"at": at, "subject_id": ada.id, "actor_id": None, "details": {}, **columns}
            (number,) = write(1, **given)
        return number

    return write_one


def said(app: Flask, event: AuditEvent, rights: Rights = EVERYTHING, locale: str = "en") -> str:
    with app.test_request_context(), force_locale(locale):
        [happening] = event_sentences.described([event], rights)
        return str(happening.sentence.striptags())


def test_every_event_has_a_sentence() -> None:
    of_features = {event.value for feature in OPTIONAL for event in feature.events}

    assert event_sentences.SENTENCES.keys() == {event.value for event in Event} | of_features
    assert event_sentences.BY_ANOTHER.keys() <= event_sentences.SENTENCES.keys()


def test_a_sentence_says_who_did_what_to_whom(app: Flask, ada: User, grace: User) -> None:
    def event(name: str, actor: int | None, subject: int | None = ada.id, **details: Any) -> str:
        happened = AuditEvent(event=name, actor_id=actor, subject_id=subject, details=details)
        return said(app, happened)

    gone = 10**9
    assert event("user_deactivated", grace.id) == "grace deactivated ada."
    assert event("user_deactivated", None, via="cli") == "An operator deactivated ada."
    assert event("user_updated", ada.id) == "ada changed the profile."
    assert event("user_updated", grace.id) == "grace changed the profile of ada."
    assert event("sessions_ended", None, None, via="cli") == "An operator signed everybody out."
    assert event("login_failed", None, reason="wrong_password") == (
        "A wrong password was given for ada."
    )
    assert event("roles_changed", grace.id, roles={"from": [], "to": ["a", "b"]}) == (
        "grace changed the roles of ada. Now they are: a and b."
    )
    assert event("user_deleted", grace.id, gone) == (
        f"grace deleted the account of account {gone}, which is deleted."
    )
    assert event("of_a_feature", None) == "This happened to ada: of a feature."


def test_names_in_sentences_stay_text(app: Flask, ada: User) -> None:
    payload = "<script>alert(1)</script>"
    happened = AuditEvent(
        event="role_created", actor_id=None, subject_id=None, details={"role": payload}
    )

    with app.test_request_context():
        [happening] = event_sentences.described([happened], EVERYTHING)

    assert payload in happening.sentence.striptags() or "&lt;script&gt;" in happening.sentence
    assert "<script>" not in happening.sentence


def test_each_filter_finds_its_events_and_no_others(
    app: Flask, ada: User, bob: User, grace_at_home: Person, written: Callable[..., int]
) -> None:
    old = written()
    by_bob = written(actor_id=bob.id, event="user_deactivated")
    to_bob = written(subject_id=bob.id, actor_id=bob.id, ip="2001:db8::7", request_id="here")
    later = written(at=datetime(2100, 1, 2, 12, tzinfo=UTC))
    since = "since=2099-01-01"

    for query, found in {
        "subject=ada": [later, by_bob, old],
        f"subject={ada.id}": [later, by_bob, old],
        "subject=ADA@example.com&event=user_deactivated": [by_bob],
        "actor=bob": [to_bob, by_bob],
        "actor=bob&subject=ada": [by_bob],
        "ip=2001:DB8:0::7": [to_bob],
        "ip=192.0.2.99": [],
        "request_id=here": [to_bob],
        "since=2100-01-02": [later],
        "since=2100-01-02T12:00": [later],
        "since=2100-01-02T12:01": [],
        "until=2100-01-02&subject=": [to_bob, by_bob, old],
        "until=2100-01-02T12:00": [to_bob, by_bob, old],
        "until=2000-01-01": [],
        "since=2100-01-01T00:00:00Z": [later, to_bob, by_bob, old],
        "until=9999-12-31": [later, to_bob, by_bob, old],
        f"subject={10**9}": [],
    }.items():
        asked = query if "since" in query else f"{query}&{since}"
        page = grace_at_home.open(f"{PATH}?{asked}")
        assert (page.status, listed(page)) == (200, found), query
    assert later in listed(grace_at_home.open(f"{PATH}?since=0001-01-01"))
    assert listed(grace_at_home.open(f"{PATH}?until=0001-01-01")) == []


def test_pages_follow_each_other_and_keep_the_filters(
    ada: User, bob: User, grace_at_home: Person, written: Callable[..., int]
) -> None:
    own = [written(actor_id=bob.id, subject_id=bob.id) for _ in range(2)]
    others = [written(actor_id=bob.id) for _ in range(3)]
    newest_first = sorted(own + others, reverse=True)

    first = grace_at_home.open(f"{PATH}?actor=bob&limit=3&since=2099-01-01")
    [older] = [link for link in first.links if "cursor=" in link]
    second = grace_at_home.open(older)

    assert listed(first) + listed(second) == newest_first
    assert f"{PATH}?actor=bob&limit=3&since=2099-01-01" in second.links


def test_a_search_that_cannot_be_read_says_so(grace_at_home: Person, ada: User) -> None:
    for query in (
        *("subject=nobody", "actor=nobody@example.com", "ip=nowhere", "since=soon"),
        *("cursor=nonsense", "limit=0", "unknown=1", "until=2100-13-01T00:00"),
    ):
        page = grace_at_home.open(f"{PATH}?{query}")
        assert (page.status, listed(page)) == (422, []), query
        assert page.summary, query


def test_names_are_for_those_who_may_see_accounts(
    app: Flask, ada: User, bob: User, written: Callable[..., int]
) -> None:
    permit(app, bob, "audit:read")
    person = signed_in(app, bob)
    number = written(event="user_deactivated", actor_id=bob.id, personal=None)

    for path in (f"{PATH}?since=2099-01-01", f"{PATH}/{number}", f"{PATH}?subject={ada.id}"):
        page = person.open(path)
        assert f"account {bob.id} deactivated account {ada.id}." in page.text, path
        assert "ada" not in page.lasting_html, path
    # Otherwise the answers would tell which accounts exist.
    answers = [person.open(f"{PATH}?subject={name}") for name in ("ada", "nobody")]
    assert [answer.status for answer in answers] == [422, 422]
    assert answers[0].summary == answers[1].summary


def test_the_page_of_an_event_shows_everything_about_it(
    app: Flask, ada: User, bob: User, grace_at_home: Person
) -> None:
    with app.app_context():
        (number,) = write_and_seal(
            1, actor_id=bob.id, subject_id=ada.id, event="user_deactivated",
            details={"is_active": {"from": True, "to": False}},
        )  # fmt: skip

    page = grace_at_home.open(f"{PATH}/{number}")

    assert "bob deactivated ada ." in page.text
    for text in ("is_active true → false", "203.0.113.7", "Browser/1.0", "request-0", "Position"):
        assert text in page.text, text
    assert {
        *(f"/admin/users/{ada.id}", f"/admin/users/{bob.id}"),
        *(f"{PATH}?subject={ada.id}", f"{PATH}?actor={bob.id}", f"{PATH}?event=user_deactivated"),
        *(f"{PATH}?ip=203.0.113.7", f"{PATH}?request_id=request-0"),
    } <= set(page.links)
    assert grace_at_home.ask("GET", f"{PATH}/{10**12}").status_code == 404


def test_an_export_is_a_file_of_sealed_events_and_is_on_record(
    app: Flask, grace: User, grace_at_home: Person
) -> None:
    with app.app_context():
        write_and_seal(3)
        total = db.session.query(AuditEvent).count()
    page = grace_at_home.open(PATH)

    answer = grace_at_home.send(page, f"{PATH}/export").answer

    lines = [json.loads(line) for line in answer.text.splitlines()]
    assert [line["position"] for line in lines] == [*range(1, total + 1), total]
    assert lines[-1]["head"] == lines[-2]["hash"]
    assert answer.headers["Content-Disposition"] == 'attachment; filename="audit.jsonl"'
    page = grace_at_home.open(PATH)
    assert "grace exported the audit log." in page.text
    tomorrow = f"{datetime.now(UTC) + timedelta(days=1):%Y-%m-%d}"
    later = grace_at_home.send(page, f"{PATH}/export", sealed_since=tomorrow).answer
    assert len(later.text.splitlines()) == 1
    refused = grace_at_home.send(page, f"{PATH}/export", sealed_since="soon")
    assert (refused.status, set(refused.errors)) == (422, {"sealed_since"})


def test_an_export_needs_a_recent_login(
    app: Flask, grace: User, set_settings: Callable[..., None]
) -> None:
    person = signed_in(app, grace)
    page = person.open(PATH)
    set_settings(fresh_token_lifetime=timedelta(0))

    answer = person.send(page, f"{PATH}/export")

    assert answer.answer.location == "/account/reauthenticate?next=%2Fadmin%2Faudit"
    with app.app_context():
        exported = db.session.query(AuditEvent).filter_by(event="audit_exported")
        assert exported.count() == 0
    assert "Confirm that it is you" in person.open(PATH).text


def test_the_page_says_when_the_log_was_checked_and_what_was_found(
    app: Flask, grace_at_home: Person
) -> None:
    def state_after(broken: Broken | None) -> str:
        with app.app_context():
            checks.remember(Verdict(1, 17, "0" * 64, 0, broken), after=5)
        return grace_at_home.open(PATH).text

    assert "The log was never checked." in grace_at_home.open(PATH).text
    assert "found the log as it was written" in state_after(None)
    text = state_after(Broken("edited", "The event was edited.", 17, 3))
    assert "The last check found that the log was changed." in text
    assert "An event was changed after it was sealed." in text
    # A good check does not hide it.
    text = state_after(None)
    assert "found the log as it was written" in text
    assert "An event was changed after it was sealed." in text
    assert "Began at position 5 Whole up to position 17" in text


def test_the_page_says_that_no_sealer_runs(app: Flask, grace_at_home: Person) -> None:
    with app.app_context():
        sealing.seal_everything()
    assert "no sealer runs" not in grace_at_home.open(PATH).text

    with app.app_context():
        write(1, at=datetime.now(UTC) - timedelta(hours=2))

    assert "Waiting for a seal 1 too long: no sealer runs" in grace_at_home.open(PATH).text


def test_flask_audit_verify_keeps_its_result(app: Flask) -> None:
    runner = app.test_cli_runner()
    with app.app_context():
        write_and_seal(2)

    runner.invoke(args=["audit", "verify", "--no-note"])
    with app.app_context():
        assert checks.remembered() == {}
    runner.invoke(args=["audit", "verify"])
    runner.invoke(args=["audit", "verify", "--head", "f" * 64])

    with app.app_context():
        kept = list(checks.remembered().values())
    assert [(check.outcome, check.position, check.kind) for check in kept] == [
        ("broken", 2, "head_missing"),
        ("whole", 2, None),
    ]
