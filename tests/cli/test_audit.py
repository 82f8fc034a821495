"""flask audit …"""

import hashlib
import json
import stat
import subprocess
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy
import time_machine
from click.testing import Result
from flask import Flask

from app import clock
from app.audit import erasing, retention, sealing
from tests.audit.log import EVENTS, erased, seals, write, write_and_seal
from tests.conftest import ENVIRONMENT
from tests.servers import BIN, ROOT, environment_for
from tests.tampering import unguarded

Run = Callable[..., Result]


@pytest.fixture(autouse=True)
def inside(app: Flask) -> Iterator[None]:
    with app.app_context():
        yield


@pytest.fixture
def run(app: Flask) -> Run:
    def command(*arguments: str) -> Result:
        return app.test_cli_runner().invoke(args=["audit", *arguments])

    return command


def forge(event_id: int) -> None:
    with unguarded() as connection:
        connection.execute(
            sqlalchemy.update(EVENTS).where(EVENTS.c.id == event_id).values(event="forged")
        )


# flask audit list


def test_list_refuses_an_event_that_does_not_exist_and_names_similar_ones(run: Run) -> None:
    similar, strange = run("list", "--event", "login_fail"), run("list", "--event", "foo")

    assert (similar.exit_code, strange.exit_code) == (2, 2)
    assert "There is no event 'login_fail'. Similar ones: login_failed" in similar.output
    assert "There is no event 'foo'. All: login_succeeded, " in strange.output


def test_list_shows_the_newest_first(run: Run) -> None:
    write(1, subject_id=17, event="login_failed", actor_id=None, details={"reason": "inactive"})
    write(1, subject_id=18, event="logged_out", personal=None)

    result = run("list")

    head, first, second = result.output.splitlines()
    assert head.split() == ["ID", "AT", "EVENT", "ACTOR", "SUBJECT", "IP", "DETAILS"]
    assert first.split()[3:] == ["logged_out", "18", "18", "203.0.113.7", "n=0"]
    assert 'reason="inactive" email="ada@example.com"' in second


def test_list_in_json_has_the_shape_of_the_api(run: Run) -> None:
    (number,) = write(1, at=datetime.fromisoformat("2026-11-22T08:00:00Z"))

    result = run("list", "--json")

    assert json.loads(result.output) == [
        {
            "id": number,
            "at": "2026-11-22T08:00:00.000000Z",
            "event": "login_succeeded",
            "actor_id": 1,
            "subject_id": 1,
            "ip": "203.0.113.7",
            "user_agent": "Browser/1.0",
            "request_id": "request-0",
            "details": {"n": 0, "email": "ada@example.com"},
        }
    ]


def listed(result: Result) -> list[int]:
    assert result.exit_code == 0, result.output
    return [event["id"] for event in json.loads(result.output)]


def test_list_filters(run: Run) -> None:
    (old,) = write(1, at=clock.now() - timedelta(days=3), subject_id=1)
    (by_grace,) = write(1, subject_id=1, actor_id=3)
    (failed,) = write(1, subject_id=2, actor_id=None, event="login_failed")
    (role,) = write(1, subject_id=None, actor_id=3)
    yesterday = f"{clock.now() - timedelta(days=1):%Y-%m-%d}"

    assert listed(run("list", "--json", "--subject", "1")) == [by_grace, old]
    assert listed(run("list", "--json", "--actor", "3")) == [role, by_grace]
    assert listed(run("list", "--json", "--actor", "1")) == [old]
    assert listed(run("list", "--json", "--event", "login_failed")) == [failed]
    assert listed(run("list", "--json", "--since", yesterday)) == [role, failed, by_grace]
    assert listed(run("list", "--json", "--limit", "2")) == [role, failed]
    assert listed(run("list", "--json", "--subject", "9223372036854775807")) == []


@pytest.mark.parametrize("text", ["yesterday", "2026-13-01", "2026-11-22T08:00:00", "2026-11-2"])
def test_a_time_that_is_none_is_refused(run: Run, text: str) -> None:
    result = run("list", "--since", text)

    assert result.exit_code == 2
    assert "Write one like 2026-11-22" in result.output


def test_what_a_client_sent_cannot_steer_the_terminal(run: Run) -> None:
    write(1, details={"fields": ["\x1b[31mred\u202e"]}, personal={"username": "\x1b]0;x\x07"})

    result = run("list")

    assert "\x1b" not in result.output
    assert "\u202e" not in result.output


# flask audit seal


def test_seal_says_how_many(run: Run) -> None:
    write(3)

    assert run("seal").output == "Sealed 3 events.\n"
    assert run("seal").output == "Sealed 0 events.\n"


# flask audit verify


def test_verify_says_that_all_is_well_and_what_the_head_is(run: Run) -> None:
    write_and_seal(3)
    write(1)

    result = run("verify")

    assert result.exit_code == 0
    assert result.output == (
        f"The audit log is whole: 3 events up to position 3, head {seals()[-1].hash}. "
        "1 are not sealed yet.\n"
    )


def test_verify_names_the_first_bad_row_and_fails(run: Run) -> None:
    ids = write_and_seal(3)
    forge(ids[1])

    result = run("verify")

    assert result.exit_code == 1
    assert f"NOT what was written (position 2, event {ids[1]})" in result.output
    assert "The event was edited after it was sealed." in result.output
    assert f"Whole up to position 1, head {seals()[0].hash}." in result.output


def test_verify_speaks_json_too(run: Run) -> None:
    ids = write_and_seal(3)
    whole = json.loads(run("verify", "--json").output)
    forge(ids[1])

    result = run("verify", "--json")

    assert (whole["is_whole"], whole["sealed"], whole["broken"]) == (True, 3, None)
    assert result.exit_code == 1
    broken = json.loads(result.output)["broken"]
    assert (broken["kind"], broken["position"], broken["event_id"]) == ("edited", 2, ids[1])


@pytest.mark.parametrize(
    ("head", "sentence"),
    [
        ("abc", "A head is 64 hexadecimal digits; this has 3."),
        ("f" * 65, "A head is 64 hexadecimal digits; this has 65."),
        ("", "A head is 64 hexadecimal digits; this has 0."),
        ("g" * 64, "A head is 64 hexadecimal digits; 'g' is not one."),
        (" " + "f" * 63, "A head is 64 hexadecimal digits; ' ' is not one."),
    ],
)
def test_verify_raises_no_alarm_about_what_cannot_be_a_head(
    run: Run, head: str, sentence: str
) -> None:
    write_and_seal(1)

    result = run("verify", "--head", head)

    assert result.exit_code == 2
    assert sentence in result.output
    assert "NOT what was written" not in result.output


@pytest.mark.parametrize("option", ["--subject", "--actor"])
def test_list_refuses_a_name_that_nobody_has(run: Run, option: str) -> None:
    result = run("list", option, "bob")

    assert result.exit_code == 1
    assert result.output == "Error: Nobody has the username bob.\n"


def test_verify_takes_a_head_in_capitals(run: Run) -> None:
    write_and_seal(1)

    assert run("verify", "--head", seals()[-1].hash.upper()).exit_code == 0


def test_verify_takes_heads_that_were_kept(run: Run) -> None:
    write_and_seal(3)
    kept = [seal.hash for seal in seals()]

    known = run("verify", "--head", kept[0], "--head", kept[2])
    unknown = run("verify", "--head", "f" * 64)

    assert known.exit_code == 0
    assert unknown.exit_code == 1
    assert "never had the head" in unknown.output


def test_verify_goes_on_from_a_position(run: Run) -> None:
    ids = write_and_seal(3)
    forge(ids[0])

    assert run("verify", "--after", "1").exit_code == 0


def test_verify_tells_on_standard_error_how_far_it_is(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.audit.verification.REPORT_EVERY", 2)
    write_and_seal(4)

    result = run("verify", "--json")

    assert result.stderr == "… 2 events so far\n… 4 events so far\n"
    assert json.loads(result.stdout)["is_whole"]


# flask audit export


def exported(run: Run, *arguments: str) -> list[dict[str, Any]]:
    result = run("export", *arguments)
    assert result.exit_code == 0, result.output
    return [json.loads(line) for line in result.stdout.splitlines()]


def test_export_writes_what_is_sealed_and_the_head_as_the_last_line(run: Run) -> None:
    ids = write_and_seal(3)
    write(1)

    *lines, last = exported(run)

    assert [(line["position"], line["id"]) for line in lines] == list(enumerate(ids, 1))
    assert last == {"head": seals()[-1].hash, "position": 3, "follows": "0" * 64}
    assert lines[0]["personal"] == {"email": "ada@example.com"}


def test_export_goes_on_from_a_position_or_a_time(run: Run) -> None:
    with time_machine.travel(clock.now() - timedelta(days=3)):
        write_and_seal(2)
    write_and_seal(2)
    yesterday = f"{clock.now() - timedelta(days=1):%Y-%m-%dT%H:%M:%SZ}"

    by_position = exported(run, "--since", "3")
    by_time = exported(run, "--since", yesterday)

    assert [line["position"] for line in by_position] == [4, 4]
    assert by_position[-1]["follows"] == seals()[2].hash
    assert [line["position"] for line in by_time] == [3, 4, 4]
    assert exported(run, "--since", "4") == [
        {"head": seals()[3].hash, "position": 4, "follows": seals()[3].hash}
    ]


def test_export_writes_a_new_file_for_its_owner_alone(run: Run, tmp_path: Path) -> None:
    write_and_seal(2)
    file = tmp_path / "audit.jsonl"

    first = run("export", "--output", str(file))
    again = run("export", "--output", str(file))

    assert (first.exit_code, first.output) == (0, "")
    assert len(file.read_text().splitlines()) == 3
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert again.exit_code == 1
    assert "File exists" in again.output


def test_anybody_can_verify_an_export_by_the_formulas_of_the_documentation(
    run: Run, set_settings: Callable[..., None]
) -> None:
    write_and_seal(2, at=clock.now() - timedelta(days=10))
    write_and_seal(2, subject_id=7, details={"z": "艾达", "a": [1, None, True]})
    erasing.forget([7])
    erased(7)
    set_settings(audit_retention=timedelta(days=5))
    retention.prune(10)
    sealing.seal_everything()

    pruned_to, *lines, last = exported(run)

    def digest(*parts: Any) -> str:
        text = json.dumps(parts, sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()

    assert pruned_to["event"] is None
    head = pruned_to["hash"]
    for line in lines:
        event = digest(
            "event 1",
            *(line[name] for name in ("id", "at", "event", "actor_id", "subject_id")),
            *(line[name] for name in ("request_id", "details")),
        )
        personal = digest(
            "personal 1", line["salt"], line["ip"], line["user_agent"], line["personal"]
        )
        assert event == line["event_digest"]
        assert personal == line["personal_digest"] or line["salt"] is None
        covered = (line["position"], line["id"], line["sealed_at"], event, line["personal_digest"])
        head = digest("seal 1", head, *covered)
        assert head == line["hash"]
    assert head == last["head"]
    assert [line["salt"] is None for line in lines] == [True, True, False, False]


# Where it cannot work


@pytest.mark.parametrize("command", ["list", "seal", "verify", "export"])
def test_a_database_that_was_not_upgraded_is_named_in_one_line(
    command: str, tmp_path: Path
) -> None:
    nothing = environment_for(**ENVIRONMENT, DATABASE_URL=f"sqlite:///{tmp_path / 'empty.db'}")

    done = subprocess.run(
        [BIN / "flask", "--app", ROOT / "wsgi.py", "audit", command],
        env=nothing,
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 1
    assert "was `flask db upgrade` run?" in done.stderr
    assert "Traceback" not in done.stderr
