"""The calls under /api/v1/screenplays."""

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from screenplays import library
from screenplays.mails import invitation_asked, invited
from screenplays.models import Person, Screenplay, Version

from app.errors import PreconditionFailed
from app.extensions import db
from app.mail import outbox
from app.models import User
from app.models.outbox_message import OutboxMessage
from app.testing import LogIn, MakeUser

Headers = dict[str, str]
API = "/api/v1/screenplays"
SCENE = "INT. RIVER - NIGHT\n\nA fish swims.\n\nEDWARD\nBig one.\n"


def titles(client: FlaskClient, reader: Headers, query: str = "") -> list[str]:
    return [one["title"] for one in client.get(f"{API}{query}", headers=reader).json["items"]]


def tag_of(client: FlaskClient, screenplay: int, reader: Headers) -> str:
    return str(client.get(f"{API}/{screenplay}", headers=reader).headers["ETag"])


def save(
    client: FlaskClient, screenplay: int, author: Headers, tag: str | None, **changes: str
) -> Any:
    condition = {} if tag is None else {"If-Match": tag}
    return client.patch(f"{API}/{screenplay}", json=changes, headers=author | condition)


def test_a_list_leads_from_page_to_page(client: FlaskClient, ada: Headers, write: Any) -> None:
    for title in ("One", "Two", "Three"):
        write(ada, title=title)

    first = client.get(f"{API}?limit=2", headers=ada)
    path = first.headers["Link"].removeprefix("<").partition(">")[0]
    second = client.get(path, headers=ada)

    assert [one["title"] for one in first.json["items"]] == ["Three", "Two"]
    assert [one["title"] for one in second.json["items"]] == ["One"]
    assert "Link" not in second.headers


def test_a_search_finds_a_part_of_the_title_or_the_logline_in_any_case(
    client: FlaskClient, ada: Headers, write: Any
) -> None:
    write(ada, title="BIG FISH", logline="Ein Sohn und sein Vater in ÄGYPTEN")
    write(ada, title="大鱼 100%")

    assert titles(client, ada, "?q=fish") == ["BIG FISH"]
    assert titles(client, ada, "?q=ägypten") == ["BIG FISH"]
    assert titles(client, ada, "?q=鱼") == ["大鱼 100%"]
    assert titles(client, ada, "?q=%25") == ["大鱼 100%"]


def test_a_repeated_call_makes_one_screenplay(client: FlaskClient, ada: Headers) -> None:
    keyed = ada | {"Idempotency-Key": "the-first"}

    made = [client.post(API, json={"title": "Big Fish"}, headers=keyed) for _ in range(2)]

    assert made[0].json == made[1].json
    assert made[0].headers["Location"] == f"{API}/{made[0].json['id']}"
    assert len(titles(client, ada)) == 1


def test_a_text_may_be_as_long_as_a_film_and_no_longer(
    client: FlaskClient, ada: Headers, write: Any
) -> None:
    made = write(ada, text="山" * library.MAX_TEXT)

    too_long = client.post(API, json={"title": "A", "text": "a" * 400_001}, headers=ada)
    lines = [
        client.post(API, json={"title": "A", "text": "\r\n" * number}, headers=ada)
        for number in (19_999, 20_000)
    ]

    assert client.get(f"{API}/{made['id']}", headers=ada).json["text"] == "山" * library.MAX_TEXT
    assert (too_long.status_code, too_long.json["code"]) == (422, "validation_failed")
    assert [answer.status_code for answer in lines] == [201, 422]
    assert lines[1].json["errors"][0]["code"] == "too_many_lines"


def test_there_is_an_end_to_the_screenplays_of_a_person(
    client: FlaskClient, ada: Headers, write: Any
) -> None:
    for _ in range(5):
        write(ada)

    answer = client.post(API, json={"title": "One more"}, headers=ada)

    assert (answer.status_code, answer.json["code"]) == (409, "too_many_screenplays")


def test_two_editors_never_overwrite_each_other(
    client: FlaskClient, ada: Headers, bob: Headers, write: Any, share: Any
) -> None:
    screenplay = write(ada, text="Once.")["id"]
    share(ada, screenplay, "bob", bob, "editor")
    of_ada, of_bob = (tag_of(client, screenplay, one) for one in (ada, bob))

    first = save(client, screenplay, ada, of_ada, text="Ada's.")
    second = save(client, screenplay, bob, of_bob, text="Bob's.")
    without = save(client, screenplay, bob, None, text="Bob's.")
    again = save(client, screenplay, bob, tag_of(client, screenplay, bob), text="Both.")

    assert first.status_code == 200
    assert first.headers["ETag"] != of_ada
    assert (second.status_code, second.json["code"]) == (412, "precondition_failed")
    assert (without.status_code, without.json["code"]) == (428, "if_match_required")
    assert (again.status_code, again.json["text"]) == (200, "Both.")


def test_of_twenty_saves_at_the_same_time_one_is_made(
    app: Flask, client: FlaskClient, ada: Headers, write: Any
) -> None:
    screenplay = write(ada)["id"]
    tag = tag_of(client, screenplay, ada)

    def save_as(number: int) -> int:
        return int(save(app.test_client(), screenplay, ada, tag, text=f"{number}").status_code)

    with ThreadPoolExecutor(20) as pool:
        answers = sorted(pool.map(save_as, range(20)))

    assert answers == [200] + [412] * 19
    assert client.get(f"{API}/{screenplay}", headers=ada).json["version"] == 2


def test_the_database_decides_between_saves_that_have_read_the_same(
    app: Flask, client: FlaskClient, make_user: MakeUser, log_in: LogIn, write: Any
) -> None:
    """All of them have compared the tag before the first one writes."""
    user = make_user("ada")
    screenplay = write(log_in(user))["id"]
    everybody_has_read = Barrier(4)

    def wait_for_the_others(_: object) -> None:
        everybody_has_read.wait(timeout=30)

    def save_at_once(number: int) -> str:
        with app.test_request_context():
            if db.engine.dialect.name == "sqlite":
                pytest.skip("SQLite has one writer at a time, and no second one may have read")
            author = db.session.get_one(User, user.id)
            try:
                library.save(
                    author,
                    screenplay,
                    {"text": f"{number}"},
                    wait_for_the_others,
                )
            except PreconditionFailed:
                return "refused"
            return "saved"

    with ThreadPoolExecutor(4) as pool:
        answers = sorted(pool.map(save_at_once, range(4)))

    assert answers == ["refused"] * 3 + ["saved"]


def test_an_editor_who_is_taken_off_while_saving_saves_nothing(
    app: Flask,
    client: FlaskClient,
    ada: Headers,
    make_user: MakeUser,
    log_in: LogIn,
    write: Any,
    share: Any,
) -> None:
    user = make_user("bob")
    screenplay = write(ada, text="Once.")["id"]
    person = share(ada, screenplay, "bob", log_in(user), "editor")

    def take_off(_: object) -> None:
        client.delete(f"{API}/{screenplay}/people/{person}", headers=ada)

    with app.test_request_context():
        if db.engine.dialect.name == "sqlite":
            pytest.skip("SQLite has one writer at a time, and no second one may have read")
        bob = db.session.get_one(User, user.id)
        with pytest.raises(PreconditionFailed):
            library.save(bob, screenplay, {"text": "Bob's."}, take_off)

    assert client.get(f"{API}/{screenplay}", headers=ada).json["text"] == "Once."


def test_a_screenplay_that_changed_is_not_deleted(
    client: FlaskClient, ada: Headers, write: Any
) -> None:
    screenplay = write(ada)["id"]
    old = tag_of(client, screenplay, ada)
    save(client, screenplay, ada, old, text="New.")

    refused = client.delete(f"{API}/{screenplay}", headers=ada | {"If-Match": old})
    deleted = client.delete(f"{API}/{screenplay}", headers=ada)

    assert (refused.status_code, deleted.status_code) == (412, 204)
    assert titles(client, ada) == []


def test_versions_say_who_saved_them_and_can_be_restored(
    client: FlaskClient, ada: Headers, bob: Headers, write: Any, share: Any
) -> None:
    screenplay = write(ada, text="First.")["id"]
    share(ada, screenplay, "bob", bob, "editor")
    save(client, screenplay, bob, tag_of(client, screenplay, bob), text="Second.")

    restored = client.post(f"{API}/{screenplay}/versions/1/restore", headers=ada)
    listed = client.get(f"{API}/{screenplay}/versions", headers=ada).json["items"]

    assert (restored.json["text"], restored.json["version"]) == ("First.", 3)
    assert [(one["number"], one["author"]) for one in listed] == [
        (3, "ada"),
        (2, "bob"),
        (1, "ada"),
    ]
    second = client.get(f"{API}/{screenplay}/versions/2", headers=ada)
    assert second.json["text"] == "Second."


def test_a_program_that_saves_by_itself_replaces_its_own_last_version(
    client: FlaskClient, ada: Headers, bob: Headers, write: Any, share: Any
) -> None:
    screenplay = write(ada, text="First.")["id"]
    share(ada, screenplay, "bob", bob, "editor")

    def amend(author: Headers, text: str) -> int:
        tag = {"If-Match": tag_of(client, screenplay, author)}
        body = {"text": text, "amends": True}
        answer = client.patch(f"{API}/{screenplay}", json=body, headers=author | tag)
        return int(answer.status_code)

    statuses = [amend(bob, "B"), amend(bob, "Bo"), amend(bob, "Bob"), amend(ada, "Ada")]

    listed = client.get(f"{API}/{screenplay}/versions", headers=ada).json["items"]
    assert statuses == [200] * 4
    assert [(one["number"], one["author"]) for one in listed] == [
        (5, "ada"),
        (4, "bob"),
        (1, "ada"),
    ]


def test_only_the_newest_versions_are_kept(client: FlaskClient, ada: Headers, write: Any) -> None:
    screenplay = write(ada)["id"]
    for number in range(4):
        save(client, screenplay, ada, tag_of(client, screenplay, ada), text=f"{number}")

    listed = client.get(f"{API}/{screenplay}/versions?limit=2", headers=ada)

    assert [one["number"] for one in listed.json["items"]] == [5, 4]
    assert client.get(f"{API}/{screenplay}/versions/3", headers=ada).status_code == 200
    assert client.get(f"{API}/{screenplay}/versions/2", headers=ada).status_code == 404


def test_scenes_and_files(client: FlaskClient, ada: Headers, write: Any) -> None:
    screenplay = write(ada, text=SCENE)["id"]

    scenes = client.get(f"{API}/{screenplay}/scenes", headers=ada)
    fountain = client.get(f"{API}/{screenplay}/file.fountain", headers=ada)
    html = client.get(f"{API}/{screenplay}/file.html", headers=ada)
    pdf = client.get(f"{API}/{screenplay}/file.pdf", headers=ada)

    assert scenes.json == {
        "pages": 1,
        "items": [{"number": "1", "heading": "INT. RIVER - NIGHT", "page": 1, "pages": 0.125}],
    }
    assert fountain.text == SCENE
    assert fountain.headers["Content-Disposition"].startswith("attachment;")
    assert (pdf.content_type, pdf.data[:5]) == ("application/pdf", b"%PDF-")
    assert '<p class="character">EDWARD</p>' in html.text
    assert html.headers["Content-Security-Policy"].startswith("default-src 'none'; style-src 'sha2")


def test_an_invitation_does_not_tell_whether_anybody_is_there(
    client: FlaskClient, ada: Headers, bob: Headers, write: Any
) -> None:
    screenplay = write(ada)["id"]
    names = ("bob", "nobody", "bob@example.com", "nobody@example.com")

    answers = [
        client.post(
            f"{API}/{screenplay}/people", json={"name": name, "role": "reader"}, headers=ada
        )
        for name in names
    ]
    shown = client.get(f"{API}/{screenplay}/people", headers=ada).json["items"]

    assert [answer.status_code for answer in answers] == [201] * 4
    assert [person["name"] for person in shown] == list(names)
    assert {person["accepted_at"] for person in shown} == {None}
    # One more has a place, and then there is an end to them.
    more = [
        client.post(
            f"{API}/{screenplay}/people", json={"name": name, "role": "reader"}, headers=ada
        )
        for name in ("yan", "zoe")
    ]
    assert [answer.status_code for answer in more] == [201, 409]
    assert more[1].json["code"] == "too_many_people"


def test_nobody_is_invited_twice_and_owners_do_not_invite_themselves(
    client: FlaskClient, ada: Headers, bob: Headers, write: Any, share: Any
) -> None:
    screenplay = write(ada)["id"]
    share(ada, screenplay, "bob", bob, "reader")

    answers = [
        client.post(
            f"{API}/{screenplay}/people", json={"name": name, "role": "reader"}, headers=ada
        )
        for name in ("BOB", "ada", "Ada@Example.com")
    ]

    assert [answer.json["code"] for answer in answers] == ["already_invited"] * 3


def test_an_address_accepts_once_it_is_confirmed(
    client: FlaskClient, app: Flask, ada: Headers, make_user: MakeUser, log_in: LogIn, write: Any
) -> None:
    screenplay = write(ada)["id"]
    invited = client.post(
        f"{API}/{screenplay}/people",
        json={"name": "Bob@Example.com", "role": "editor"},
        headers=ada,
    ).json["id"]
    user = make_user("bob", email_verified=False)
    bob = log_in(user)

    before = client.post(f"{API}/invitations/{invited}/accept", headers=bob)
    exported = client.get("/api/v1/users/me/export", headers=bob).json["screenplays_shared"]
    waiting_before = client.get(f"{API}/invitations", headers=bob).json["items"]
    with app.app_context():
        db.session.merge(user).email_verified = True
        db.session.commit()
    waiting = client.get(f"{API}/invitations", headers=bob).json["items"]
    after = client.post(f"{API}/invitations/{invited}/accept", headers=bob)

    assert (before.status_code, exported, waiting_before) == (404, [], [])
    assert [(one["title"], one["owner"], one["role"]) for one in waiting] == [
        ("Big Fish", "ada", "editor")
    ]
    assert (after.status_code, after.json["role"]) == (200, "editor")
    people = client.get(f"{API}/{screenplay}/people", headers=bob).json["items"]
    assert [person["name"] for person in people] == ["bob"]


def test_a_username_that_is_taken_later_was_not_invited(
    client: FlaskClient, ada: Headers, make_user: MakeUser, log_in: LogIn, write: Any
) -> None:
    screenplay = write(ada)["id"]
    client.post(f"{API}/{screenplay}/people", json={"name": "bob", "role": "reader"}, headers=ada)

    bob = log_in(make_user("bob"))

    assert client.get(f"{API}/invitations", headers=bob).json["items"] == []


def test_only_the_owner_sees_who_is_invited(
    client: FlaskClient, ada: Headers, bob: Headers, write: Any, share: Any
) -> None:
    screenplay = write(ada)["id"]
    share(ada, screenplay, "bob", bob, "editor")
    client.post(
        f"{API}/{screenplay}/people",
        json={"name": "zoe@example.com", "role": "reader"},
        headers=ada,
    )

    seen = {
        name: len(client.get(f"{API}/{screenplay}/people", headers=reader).json["items"])
        for name, reader in (("ada", ada), ("bob", bob))
    }

    assert seen == {"ada": 2, "bob": 1}


def test_people_leave_decline_and_get_other_roles(
    client: FlaskClient, ada: Headers, bob: Headers, write: Any, share: Any
) -> None:
    screenplay = write(ada)["id"]
    person = share(ada, screenplay, "bob", bob, "editor")
    at_person = f"{API}/{screenplay}/people/{person}"

    made_reader = client.patch(at_person, json={"role": "reader"}, headers=ada)
    refused = save(client, screenplay, bob, "*", text="Mine.")
    left = client.delete(at_person, headers=bob)
    again = client.post(
        f"{API}/{screenplay}/people", json={"name": "bob", "role": "editor"}, headers=ada
    )
    declined = client.delete(f"{API}/invitations/{again.json['id']}", headers=bob)

    assert (made_reader.status_code, refused.status_code, left.status_code) == (200, 403, 204)
    assert declined.status_code == 204
    assert titles(client, bob) == []


def test_the_mail_names_the_inviter_and_not_the_title(
    app: Flask, client: FlaskClient, ada: Headers, bob: Headers, write: Any
) -> None:
    screenplay = write(ada, title="Buy pills at evil.example")["id"]
    client.post(f"{API}/{screenplay}/people", json={"name": "bob", "role": "reader"}, headers=ada)

    with app.app_context():
        asked = db.session.scalars(
            db.select(OutboxMessage).where(OutboxMessage.message == "screenplays_invitation_asked")
        ).one()
        wording, context = invitation_asked(asked) or (None, {})
        sealed = outbox.context_of(asked)
    assert (asked.recipient, wording) == ("bob@example.com", invited)
    assert context == {"inviter": "ada"}
    assert set(sealed) == {"person", "locale"}


def test_the_export_has_what_is_yours_and_what_you_are_on(
    client: FlaskClient, ada: Headers, bob: Headers, write: Any, share: Any
) -> None:
    screenplay = write(ada, text="Once.")["id"]
    share(ada, screenplay, "bob", bob, "editor")

    of_ada, of_bob = (client.get("/api/v1/users/me/export", headers=one).json for one in (ada, bob))

    assert [one["text"] for one in of_ada["screenplays"]] == ["Once."]
    assert [one["number"] for one in of_ada["screenplays_saved"]] == [1]
    assert of_bob["screenplays"] == []
    assert [(one["title"], one["role"]) for one in of_bob["screenplays_shared"]] == [
        ("Big Fish", "editor")
    ]


def test_a_shared_screenplay_goes_to_the_first_editor_when_its_owner_is_erased(
    app: Flask,
    client: FlaskClient,
    make_user: MakeUser,
    log_in: LogIn,
    bob: Headers,
    carol: Headers,
    write: Any,
    share: Any,
) -> None:
    user = make_user("ada")
    ada = log_in(user)
    grace = log_in(make_user("grace", superuser=True))
    shared, alone = write(ada, title="Shared")["id"], write(ada, title="Alone")["id"]
    # The first person is a reader, and the second is the first editor.
    share(ada, shared, "carol", carol, "reader")
    share(ada, shared, "bob", bob, "editor")
    of_bob = write(bob, title="Bob's")["id"]
    client.post(
        f"{API}/{of_bob}/people", json={"name": "ada@example.com", "role": "reader"}, headers=bob
    )

    erased = client.delete(f"/api/v1/users/{user.id}", headers=grace)

    assert erased.status_code == 204, erased.text
    taken = client.get(f"{API}/{shared}", headers=bob).json
    assert (taken["owner"], taken["role"]) == ("bob", "owner")
    assert client.get(f"{API}/{shared}", headers=carol).json["role"] == "reader"
    versions = client.get(f"{API}/{shared}/versions", headers=bob).json["items"]
    assert [one["author"] for one in versions] == [None]
    with app.app_context():
        assert db.session.get(Screenplay, alone) is None
        assert db.session.query(Version).filter_by(screenplay_id=alone).count() == 0
        # Her address is not left in an invitation.
        assert db.session.query(Person).filter_by(screenplay_id=of_bob).count() == 0


@pytest.mark.parametrize(
    "body", [{"title": " "}, {}, {"title": "A", "owner_id": 1}, {"title": "A\nB"}]
)
def test_what_a_screenplay_must_be(client: FlaskClient, ada: Headers, body: dict[str, Any]) -> None:
    assert client.post(API, json=body, headers=ada).status_code == 422
