"""Who may do what: each route has a row, and each person asks it."""

from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from app.testing import LogIn, MakeUser

API = "/api/v1/screenplays"
ONE = f"{API}/<digits:screenplay_id>"
TEXT = {"title": "The other title"}

# The call, its body, and the answers to: nobody, a stranger, somebody who is invited and has not
# accepted, somebody with the permission to read all, a reader, an editor, the owner.
ROWS: list[tuple[str, str, dict[str, Any] | None, tuple[int, ...]]] = [
    ("GET", API, None, (401, 200, 200, 200, 200, 200, 200)),
    ("GET", f"{API}/all", None, (401, 403, 403, 200, 403, 403, 403)),
    ("POST", API, TEXT, (401, 201, 201, 201, 201, 201, 201)),
    ("GET", ONE, None, (401, 404, 404, 200, 200, 200, 200)),
    ("PATCH", ONE, TEXT, (401, 404, 404, 404, 403, 200, 200)),
    ("DELETE", ONE, None, (401, 404, 404, 404, 403, 403, 204)),
    ("GET", f"{ONE}/scenes", None, (401, 404, 404, 200, 200, 200, 200)),
    ("GET", f"{ONE}/file.fountain", None, (401, 404, 404, 200, 200, 200, 200)),
    ("GET", f"{ONE}/file.html", None, (401, 404, 404, 200, 200, 200, 200)),
    ("GET", f"{ONE}/file.pdf", None, (401, 404, 404, 200, 200, 200, 200)),
    ("GET", f"{ONE}/versions", None, (401, 404, 404, 200, 200, 200, 200)),
    ("GET", f"{ONE}/versions/<digits:number>", None, (401, 404, 404, 200, 200, 200, 200)),
    ("POST", f"{ONE}/versions/<digits:number>/restore", None, (401, 404, 404, 404, 403, 200, 200)),
    ("GET", f"{ONE}/people", None, (401, 404, 404, 200, 200, 200, 200)),
    (
        "POST",
        f"{ONE}/people",
        {"name": "zoe@example.com", "role": "reader"},
        (401, 404, 404, 404, 403, 403, 201),
    ),
    (
        "PATCH",
        f"{ONE}/people/<digits:person_id>",
        {"role": "reader"},
        (401, 404, 404, 404, 403, 403, 200),
    ),
    ("DELETE", f"{ONE}/people/<digits:person_id>", None, (401, 404, 404, 404, 403, 403, 204)),
    ("GET", f"{API}/invitations", None, (401, 200, 200, 200, 200, 200, 200)),
    (
        "POST",
        f"{API}/invitations/<digits:invitation_id>/accept",
        None,
        (401, 404, 404, 404, 404, 404, 404),
    ),
    (
        "DELETE",
        f"{API}/invitations/<digits:invitation_id>",
        None,
        (401, 404, 404, 404, 404, 404, 404),
    ),
]
ASKING = ("nobody", "stranger", "invited", "auditor", "reader", "editor", "owner")


def test_every_route_has_a_row(app: Flask) -> None:
    served = {
        (method, rule.rule)
        for rule in app.url_map.iter_rules()
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
        if rule.rule.startswith(API)
    }

    assert served == {(method, rule) for method, rule, _, _ in ROWS}


def test_each_person_gets_the_answer_in_the_table(
    client: FlaskClient, make_user: MakeUser, log_in: LogIn, write: Any, share: Any
) -> None:
    people = {
        name: log_in(make_user(name, *(["screenplays:read-all"] if name == "auditor" else [])))
        for name in ASKING[1:]
    }
    people["nobody"] = {}
    owner = people["owner"]

    def make_case() -> dict[str, int]:
        screenplay = write(owner, text="Once.")["id"]
        share(owner, screenplay, "editor", people["editor"], "editor")
        share(owner, screenplay, "reader", people["reader"], "reader")
        # Nobody in the table may touch the last two, except the owner.
        others = [
            client.post(
                f"{API}/{screenplay}/people", json={"name": name, "role": "editor"}, headers=owner
            ).json["id"]
            for name in ("invited", "somebody-else")
        ]
        return {
            "screenplay_id": screenplay,
            "number": 1,
            "person_id": others[1],
            "invitation_id": others[1],
        }

    case = make_case()
    wrong = []
    for method, rule, body, wanted in ROWS:
        for name, status in zip(ASKING, wanted, strict=True):
            path = rule
            for variable, value in case.items():
                path = path.replace(f"<digits:{variable}>", str(value))
            condition = {"If-Match": "*"} if method == "PATCH" else {}

            answer = client.open(path, method=method, json=body, headers=people[name] | condition)

            if answer.status_code != status:
                wrong.append((name, method, rule, answer.status_code, status))
            if method != "GET" and answer.status_code < 400:
                for listed in client.get(API, headers=people[name]).json["items"]:
                    client.delete(f"{API}/{listed['id']}", headers=people[name])
                client.delete(f"{API}/{case['screenplay_id']}", headers=owner)
                case = make_case()

    assert wrong == []


@pytest.mark.parametrize("method", ["GET", "PATCH", "DELETE"])
def test_what_is_not_shared_looks_like_what_does_not_exist(
    client: FlaskClient, ada: dict[str, str], bob: dict[str, str], write: Any, method: str
) -> None:
    screenplay = write(ada)["id"]

    answers = [
        client.open(f"{API}/{one}", method=method, json=TEXT, headers=bob)
        for one in (screenplay, 999_999)
    ]

    assert {answer.status_code for answer in answers} == {404}
    assert len({answer.json["detail"] for answer in answers}) == 1


def test_reading_by_the_permission_is_recorded_and_the_owner_sees_it(
    client: FlaskClient, ada: dict[str, str], make_user: MakeUser, log_in: LogIn, write: Any
) -> None:
    screenplay = write(ada)["id"]
    user = make_user("auditor", "screenplays:read-all", "audit:read")
    auditor = log_in(user)

    client.get(f"{API}/{screenplay}", headers=ada)
    client.get(f"{API}/all", headers=auditor)
    client.get(f"{API}/{screenplay}/file.fountain", headers=auditor)

    events = client.get("/api/v1/users/audit", headers=auditor).json["items"]
    found = [one for one in events if one["event"].endswith("_by_permission")]
    assert [(one["event"], one["actor_id"]) for one in found] == [
        ("screenplay_read_by_permission", user.id),
        ("screenplays_listed_by_permission", user.id),
    ]
    assert found[0]["details"] == {"screenplay_id": screenplay}
    seen = client.get("/api/v1/users/me/activity", headers=ada).json["items"][0]
    assert (seen["event"], seen["by_you"]) == ("screenplay_read_by_permission", False)
