"""flask users import"""

import json
import os
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Barrier, Thread
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import delete, func, insert, select

from app.extensions import db
from app.models import OutboxMessage, User
from app.moving import importing
from app.moving.checkpoints import Checkpoint
from app.security import identifiers
from tests.factories import API, PASSWORD, log_in, problem
from tests.mailbox import deliver_due
from tests.moving.conftest import Run, Write, everybody, outcomes
from tests.security.passwords.test_foreign_hashes import werkzeug

Report = Callable[..., list[dict[str, Any]]]

ADA = {"email": "ada@example.com", "username": "ada"}
BOB = {"email": "bob@example.com", "username": "bob"}


def numbered(count: int) -> list[dict[str, Any]]:
    return [{"email": f"p{n}@example.com", "username": f"person{n}"} for n in range(count)]


# What becomes of a row


def test_a_row_becomes_an_account_whose_owner_logs_in_as_before(
    app: Flask, client: FlaskClient, write: Write, report: Report
) -> None:
    row = ADA | {"email": "Ada@EXAMPLE.com", "hashed_password": werkzeug(PASSWORD)}

    told = report(write(row | {"id": "old-7", "full_name": "Ada Lovelace"}))

    (user,) = everybody(app)
    assert told == [
        {
            "line": 1,
            "outcome": "created",
            "reason": None,
            "id": user["id"],
            "source_id": "old-7",
        }
    ]
    assert (user["email"], user["full_name"]) == ("ada@example.com", "Ada Lovelace")
    assert log_in(client, User(username="ada"))


def test_an_account_is_active_unconfirmed_and_without_rights_unless_the_row_says_so(
    app: Flask, write: Write, report: Report
) -> None:
    report(write(ADA, BOB | {"is_active": False, "email_verified": True}))

    ada, bob = everybody(app)
    assert (ada["is_active"], ada["email_verified"], ada["is_superuser"]) == (True, False, False)
    assert (bob["is_active"], bob["email_verified"]) == (False, True)


@pytest.mark.parametrize(
    ("row", "fields"),
    [
        ({"username": "ada"}, {"email": "required"}),
        (ADA | {"email": "nobody"}, {"email": "invalid_email"}),
        (ADA | {"email": ["ada@example.com"]}, {"email": "invalid"}),
        (ADA | {"username": "a"}, {"username": "invalid_length"}),
        (ADA | {"username": "ada lovelace"}, {"username": "invalid_characters"}),
        (ADA | {"username": "Admin"}, {"username": "username_reserved"}),
        (ADA | {"full_name": "x" * 101}, {"full_name": "too_long"}),
        (ADA | {"full_name": "Ada\u202e"}, {"full_name": "invalid_characters"}),
        (ADA | {"bio": "\0"}, {"bio": "invalid_characters"}),
        (ADA | {"bio": "\ud800"}, {"bio": "invalid_characters"}),
        (ADA | {"avatar_url": "javascript:0"}, {"avatar_url": "invalid_url"}),
        (ADA | {"is_active": "false"}, {"is_active": "invalid"}),
        (ADA | {"created_at": "yesterday"}, {"created_at": "invalid"}),
        (ADA | {"locale": "tlh"}, {"locale": "invalid_choice"}),
        (ADA | {"hashed_password": "x" * 256}, {"hashed_password": "too_long"}),
        (ADA | {"password": PASSWORD}, {"password": "unknown_field"}),
        (ADA | {"is_admin": True}, {"is_admin": "unknown_field"}),
    ],
    ids=lambda value: ascii(value)[:60],
)
def test_what_registration_refuses_is_refused_by_the_same_codes(
    app: Flask, write: Write, report: Report, row: dict[str, Any], fields: dict[str, str]
) -> None:
    told = report(write(row, BOB))

    assert (told[0]["outcome"], told[0]["reason"]) == ("refused", "invalid")
    assert told[0]["fields"] == fields
    assert [user["username"] for user in everybody(app)] == ["bob"]


@pytest.mark.parametrize(
    ("stored", "reason"),
    [
        (PASSWORD, "unknown_hash"),
        ("5f4dcc3b5aa765d61d8327deb882cf99", "unknown_hash"),
        (werkzeug("x").replace(":1$", ":99999999$"), "hash_too_costly"),
        ("firebase-scrypt$8$14$Bw==$c2FsdA==$" + "A" * 86 + "==", "setting_missing"),
        ("hs384$gone$$2b$04$" + "." * 53, "pepper_missing"),
    ],
)
def test_a_password_that_no_login_could_be_checked_against_is_refused(
    app: Flask, write: Write, report: Report, stored: str, reason: str
) -> None:
    (told,) = report(write(ADA | {"hashed_password": stored}))

    assert (told["outcome"], told["reason"]) == ("refused", reason)
    assert stored not in json.dumps(told)
    assert everybody(app) == []


def test_an_account_without_a_password_is_taken(app: Flask, write: Write, report: Report) -> None:
    report(write(ADA | {"hashed_password": None}))

    assert everybody(app)[0]["hashed_password"] is None


def test_rights_and_reserved_names_come_in_only_where_the_operator_says_so(
    app: Flask, write: Write, report: Report
) -> None:
    file = write(ADA | {"is_superuser": True}, BOB | {"username": "support"})

    without = report(file)
    with_them = report(file, "--allow-superusers", "--allow-reserved")

    assert outcomes(without) == [("refused", "superuser"), ("refused", "invalid")]
    assert outcomes(with_them) == [("created", None)] * 2
    assert everybody(app)[0]["is_superuser"]


def test_nobody_is_written_to(app: Flask, write: Write, report: Report) -> None:
    report(write(ADA, BOB | {"email_verified": True}))

    with app.app_context():
        while deliver_due():
            pass
        assert db.session.scalar(select(func.count()).select_from(OutboxMessage)) == 0


def test_every_address_can_be_assumed_to_be_confirmed(
    app: Flask, write: Write, report: Report
) -> None:
    report(write(ADA), "--assume-verified")

    assert everybody(app)[0]["email_verified"]


def test_one_bad_row_does_not_take_its_batch_along(
    app: Flask, write: Write, report: Report
) -> None:
    rows: list[dict[str, Any] | str] = [*numbered(20)]
    rows[7] = "nonsense"

    told = report(write(*rows))

    assert outcomes(told).count(("created", None)) == 19
    assert outcomes(told)[7] == ("refused", "malformed")


def test_a_row_that_a_rule_of_the_database_refuses_does_not_take_its_batch_along(
    app: Flask, write: Write, report: Report, monkeypatch: pytest.MonkeyPatch
) -> None:
    columns = importing._columns

    def one_without_email(account: dict[str, Any]) -> dict[str, Any]:
        return columns(account) | ({"locale": None} if account["username"] == "person3" else {})

    monkeypatch.setattr(importing, "_columns", one_without_email)

    told = report(write(*numbered(6)))

    assert told[3]["reason"] == "refused_by_database"
    assert [user["username"] for user in everybody(app)] == [
        f"person{n}" for n in range(6) if n != 3
    ]


# Who is there already


def test_a_second_import_skips_what_is_there(app: Flask, write: Write, report: Report) -> None:
    file = write(ADA, BOB)
    first = report(file)

    second = report(file)

    assert outcomes(second) == [("skipped", "already_there")] * 2
    assert [row["id"] for row in second] == [row["id"] for row in first]
    assert len(everybody(app)) == 2


def test_an_account_that_is_there_is_not_touched(
    app: Flask, client: FlaskClient, ada: User, write: Write, report: Report
) -> None:
    before = everybody(app)

    told = report(write(ADA | {"hashed_password": werkzeug("another"), "full_name": "X"}))

    assert outcomes(told) == [("skipped", "already_there")]
    assert everybody(app) == before


def test_an_address_or_a_name_of_somebody_else_is_refused(
    ada: User, write: Write, report: Report
) -> None:
    told = report(write(ADA | {"username": "countess"}, ADA | {"email": "x@example.com"}))

    assert outcomes(told) == [("refused", "email_taken"), ("refused", "username_taken")]


def test_within_a_file_the_first_row_wins(app: Flask, write: Write, report: Report) -> None:
    told = report(
        write(
            ADA,
            ADA | {"email": "ADA@example.com"},
            ADA | {"username": "countess"},
            ADA | {"email": "x@example.com", "username": "ＡＤＡ"},
        )
    )

    assert outcomes(told) == [
        ("created", None),
        ("skipped", "already_there"),
        ("refused", "email_taken"),
        ("refused", "username_taken"),
    ]


# Usernames


def test_who_has_no_username_gets_one_made_of_the_address(
    app: Flask, write: Write, report: Report
) -> None:
    addresses = ["ada@example.com", "ada@example.org", "a@example.com", "admin@example.com"]
    addresses += ["Ada.Lovelace+news@example.com", "!#$@example.com", f"{'x' * 64}@example.com"]

    told = report(write(*({"email": address} for address in addresses)))

    names = [user["username"] for user in everybody(app)]
    assert outcomes(told) == [("created", None)] * 7
    assert [row["username"] for row in told] == names
    assert names[0] == "ada"
    assert names[1].startswith("ada-")
    assert names[2].startswith("a-")
    assert names[3].startswith("admin-")
    assert names[4:6] == ["ada.lovelace", "user-" + names[5][5:]]
    assert all(identifiers.canonical_username(name) == name for name in names)


def test_a_derived_username_is_the_same_at_the_second_time(write: Write, report: Report) -> None:
    file = write({"email": "ada@example.com"}, {"email": "ada@example.org"})
    report(file)

    assert outcomes(report(file)) == [("skipped", "already_there")] * 2


def test_an_unfit_or_taken_username_can_be_derived_instead(
    app: Flask, ada: User, write: Write, report: Report
) -> None:
    file = write(
        {"email": "x@example.com", "username": "ada"},
        {"email": "y@example.com", "username": "y@example.com"},
        BOB,
    )

    refused = outcomes(report(file))[:2]
    told = report(file, "--derive-usernames")

    assert refused == [("refused", "username_taken"), ("refused", "invalid")]
    assert outcomes(told) == [*[("created", None)] * 2, ("skipped", "already_there")]
    assert told[0]["username"].startswith("x-")
    assert told[1]["username"].startswith("y-")


# Dry run


def test_a_dry_run_reports_the_same_and_keeps_nothing(
    app: Flask, bob: User, write: Write, report: Report
) -> None:
    file = write(*numbered(3), "nonsense", BOB, ADA, ADA | {"username": "countess"})
    before = everybody(app)

    dry = report(file, "--dry-run")
    after_dry = everybody(app)
    real = report(file)

    assert after_dry == before
    assert outcomes(dry) == outcomes(real)
    assert [row["id"] for row in dry if row["outcome"] == "created"] == [None] * 4


def test_a_dry_run_of_several_batches_sees_the_earlier_ones(
    app: Flask, write: Write, report: Report, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importing, "BATCH", 2)

    told = report(write(*numbered(4), *numbered(1)), "--dry-run")

    assert outcomes(told) == [*[("created", None)] * 4, ("skipped", "already_there")]
    assert everybody(app) == []


# Interruptions


class PowerCutError(Exception):
    pass


def cut_after(batches: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the import die when so many batches are committed and told."""
    keep, kept = Checkpoint.keep, []

    def keep_and_die(self: Checkpoint) -> None:
        keep(self)
        kept.append(self.rows)
        if len(kept) == batches:
            raise PowerCutError

    monkeypatch.setattr(importing, "BATCH", 3)
    monkeypatch.setattr(Checkpoint, "keep", keep_and_die)


def test_an_interrupted_import_goes_on_where_it_was(
    app: Flask,
    run: Run,
    write: Write,
    report: Report,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    file = write(*numbered(10))
    cut_after(2, monkeypatch)
    arguments = ["users", "import", str(file), "--report", str(tmp_path / "report.jsonl")]
    cut = app.test_cli_runner().invoke(args=arguments)
    assert isinstance(cut.exception, PowerCutError)
    with app.app_context():
        # Were the first rows looked at again, this one would be made anew.
        db.session.execute(delete(User).where(User.username == "person0"))
        db.session.commit()

    told = report(file)

    assert [row["line"] for row in told] == list(range(1, 11))
    assert outcomes(told) == [("created", None)] * 10
    assert [user["username"] for user in everybody(app)] == [f"person{n}" for n in range(1, 10)]
    assert not Path(f"{file}.checkpoint").exists()


@pytest.mark.parametrize("change", ["the file", "an option"])
def test_another_import_does_not_go_on_from_there(
    app: Flask, write: Write, report: Report, monkeypatch: pytest.MonkeyPatch, change: str
) -> None:
    file = write(*numbered(10))
    cut_after(1, monkeypatch)
    app.test_cli_runner().invoke(args=["users", "import", str(file)])

    if change == "the file":
        file = write(*numbered(10), ADA)
    told = report(file, *(["--assume-verified"] if change == "an option" else []))

    assert outcomes(told)[:3] == [("skipped", "already_there")] * 3
    assert outcomes(told)[3:10] == [("created", None)] * 7


@pytest.mark.parametrize("content", ["", "{", "[]", '{"fingerprint": 7}', '{"rows": "x"}'])
def test_a_damaged_checkpoint_is_none(
    app: Flask, write: Write, report: Report, content: str
) -> None:
    file = write(ADA)
    Path(f"{file}.checkpoint").write_text(content)

    assert outcomes(report(file)) == [("created", None)]


def test_a_dry_run_leaves_the_checkpoint_of_the_real_one(
    app: Flask, run: Run, write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = write(*numbered(10))
    cut_after(1, monkeypatch)
    app.test_cli_runner().invoke(args=["users", "import", str(file)])

    run("users", "import", file, "--dry-run")

    assert "Continuing after 3 rows" in run("users", "import", file).output


# How it is asked for


def test_the_summary_counts_by_reason(run: Run, write: Write) -> None:
    result = run("users", "import", write(ADA, ADA, BOB, "nonsense"), fails=True)

    assert result.exit_code == 2
    assert result.stdout.splitlines() == [
        "created: 2",
        "skipped: 1",
        "  already_there: 1",
        "refused: 1",
        "  malformed: 1",
    ]


def test_the_format_can_be_told_where_the_extension_does_not(
    app: Flask, run: Run, write: Write
) -> None:
    file = write(ADA, name="accounts.txt")

    refused = run("users", "import", file, fails=True)
    run("users", "import", file, "--format", "jsonl")

    assert "Use --format" in refused.output
    assert len(everybody(app)) == 1


def test_a_file_that_cannot_be_read_is_refused_in_one_line(run: Run, write: Write) -> None:
    result = run("users", "import", write("nonsense", name="accounts.json"), fails=True)

    assert "The file is neither a JSON array" in result.output
    assert "Traceback" not in result.output


def test_the_report_is_for_the_operator_alone(write: Write, report: Report, tmp_path: Path) -> None:
    report(write(ADA))

    assert (tmp_path / "report.jsonl").stat().st_mode & 0o777 == 0o600


def test_who_would_be_pruned_soon_is_warned_of(
    run: Run, write: Write, set_settings: Callable[..., None]
) -> None:
    set_settings(unverified_account_lifetime=timedelta(days=1))

    result = run("users", "import", write(ADA))

    assert "UNVERIFIED_ACCOUNT_EXPIRE_DAYS" in result.stderr


def test_times_are_kept_to_the_microsecond_in_utc(app: Flask, write: Write, report: Report) -> None:
    report(write(ADA | {"created_at": "2019-05-01T12:00:00.123456+02:00"}))

    assert everybody(app)[0]["created_at"] == datetime(2019, 5, 1, 10, 0, 0, 123456, UTC)


# Files that cannot be read to their end


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        ("a.json", '[{"email": "ada@example.com"}] oops', "neither a JSON array"),
        ("a.json", '[{"email": "ada@example.com"}, {"email"', "ends in the middle"),
        ("a.jsonl", '{"email": "ada@example.com"}\n' + " " * 2**21, "mebibyte"),
    ],
)
def test_what_was_read_before_is_imported_and_told_and_the_rest_is_an_error_each_time(
    app: Flask, run: Run, tmp_path: Path, name: str, content: str, sentence: str
) -> None:
    file, told = tmp_path / name, tmp_path / "report.jsonl"
    file.write_text(content)

    for outcome in ("created", "skipped"):
        result = run("users", "import", file, "--from", "auth0", "--report", told, fails=True)

        lines = [json.loads(line) for line in told.read_text().splitlines()]
        assert [line["outcome"] for line in lines] == [outcome, "refused"]
        assert lines[1]["reason"] == "unreadable"
        assert f"{outcome}: 1" in result.stdout
        assert sentence in result.stderr
    assert len(everybody(app)) == 1


def test_the_counts_add_up_to_the_rows_of_the_file(
    app: Flask, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importing, "BATCH", 7)
    lines = [f"{n},p{n}@example.com" for n in range(60)]
    lines[20], lines[40] = '20,"p20@example.com', '40,"p40"@example.com'
    file, told = tmp_path / "users.csv", tmp_path / "report.jsonl"
    file.write_text("id,email\n" + "\n".join(lines))

    result = run("users", "import", file, "--from", "fastapi-users", "--report", told)

    rows = [json.loads(line) for line in told.read_text().splitlines()]
    assert [row["line"] for row in rows] == list(range(2, 62))
    assert result.stdout.splitlines()[0] == "created: 58"
    assert "refused: 2" in result.stdout


@pytest.mark.parametrize(
    ("name", "around"),
    [("a.jsonl", "%s\n%s\n%s"), ("a.json", "[%s,%s,%s]"), ("a.json", '{"users": [%s, %s, %s]}')],
)
@pytest.mark.parametrize(
    ("unfit", "reason"),
    [
        ('{"bio": "x", "bio": "y"}', "malformed"),
        ('{"email": "x@example.com", "id": ' + "7" * 5000 + "}", "malformed"),
        ('{"email": "x@example.com", "bio": ' + "[" * 5000 + "]" * 5000 + "}", "malformed"),
        ('{"email": "x@example.com", "bio": "\\ud800"}', "invalid"),
        ('{"email": "x@example.com", "\\ud800": 1}', "invalid"),
    ],
    ids=lambda value: ascii(value)[:40],
)
def test_one_bad_element_stops_nothing_and_every_row_is_told(
    run: Run, tmp_path: Path, name: str, around: str, unfit: str, reason: str
) -> None:
    file, told = tmp_path / name, tmp_path / "report.jsonl"
    file.write_text(around % (json.dumps(ADA), unfit, json.dumps(BOB)))

    result = run("users", "import", file, "--report", told)

    lines = [json.loads(line) for line in told.read_text().splitlines()]
    assert [(line["line"], line["outcome"], line["reason"]) for line in lines] == [
        *((1, "created", None), (2, "refused", reason), (3, "created", None))
    ]
    assert result.stdout.splitlines()[0] == "created: 2"


@pytest.mark.parametrize("id_", ["\ud800", "é", 1, {"$oid": "5f"}, ["x"]])
def test_one_row_with_an_odd_id_does_not_end_the_import(
    app: Flask, write: Write, report: Report, id_: Any
) -> None:
    told = report(write({"id": id_, "email": "ada@example.com"}, BOB))

    assert outcomes(told) == [("created", None)] * 2
    assert told[0]["source_id"] == id_


@pytest.mark.parametrize("id_", ["5f", '{"$oid": "5f"}', {"$oid": "5f"}, 7, None, [], "{", {}])
def test_a_line_of_password_hashes_may_have_any_id_and_is_told_if_it_is_nobodys(
    app: Flask, run: Run, write: Write, id_: Any
) -> None:
    stored = "$2b$04$" + "." * 53
    hashes = write({"_id": id_, "passwordHash": stored}, name="hashes.jsonl")
    file = write({"user_id": "auth0|5f", "email": "ada@example.com"})

    result = run("users", "import", file, "--from", "auth0", "--password-hashes", hashes)

    has_password = everybody(app)[0]["hashed_password"] == stored
    assert ("1 of 1 rows have no id" in result.stderr) != has_password
    assert has_password == (id_ in ("5f", '{"$oid": "5f"}', {"$oid": "5f"}))


# Where it is read from and told to


def test_a_pipe_is_read_without_a_checkpoint(app: Flask, run: Run, tmp_path: Path) -> None:
    pipe = tmp_path / "pipe.jsonl"
    os.mkfifo(pipe)
    content = "".join(json.dumps(row) + "\n" for row in numbered(1200))
    writer = Thread(target=lambda: pipe.write_text(content))
    writer.start()

    result = run("users", "import", pipe)

    writer.join()
    assert result.stdout == "created: 1200\nskipped: 0\nrefused: 0\n"
    assert [path.name for path in tmp_path.iterdir()] == ["pipe.jsonl"]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
def test_standard_input_is_a_file_too(app: Flask, encoding: str) -> None:
    content = "".join(json.dumps(row) + "\n" for row in numbered(3)).encode(encoding)

    result = app.test_cli_runner().invoke(
        args=["users", "import", "-", "--format", "jsonl"], input=content
    )

    assert (result.exit_code, len(everybody(app))) == (0, 3), result.output


def test_a_folder_that_cannot_be_written_to_costs_the_checkpoint_alone(
    app: Flask, run: Run, write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importing, "BATCH", 3)
    file = write(*numbered(10))
    # Root may write to a folder that is read-only. Nobody can write to this name.
    Path(f"{file}.checkpoint.new").mkdir()

    result = run("users", "import", file)

    assert "No checkpoint can be kept beside the file (Is a directory)" in result.stderr
    assert len(everybody(app)) == 10


def test_a_checkpoint_is_not_written_through_a_link(
    app: Flask, run: Run, write: Write, tmp_path: Path
) -> None:
    file, theirs = write(ADA), tmp_path / "theirs"
    theirs.write_text("precious")
    Path(f"{file}.checkpoint.new").symlink_to(theirs)

    result = run("users", "import", file)

    assert "No checkpoint can be kept" in result.stderr
    assert theirs.read_text() == "precious"


def test_a_device_keeps_its_mode_as_a_report(app: Flask, run: Run, write: Write) -> None:
    mode = Path("/dev/null").stat().st_mode

    run("users", "import", write(ADA), "--report", "/dev/null")

    assert Path("/dev/null").stat().st_mode == mode


def test_what_is_behind_a_link_keeps_its_mode_as_a_report(
    app: Flask, run: Run, write: Write, tmp_path: Path
) -> None:
    there, link = tmp_path / "there.jsonl", tmp_path / "link.jsonl"
    there.touch(0o644)
    there.chmod(0o644)
    link.symlink_to(there)

    run("users", "import", write(ADA), "--report", link)

    assert there.stat().st_mode & 0o777 == 0o644
    assert json.loads(there.read_text())["outcome"] == "created"


@pytest.mark.parametrize("report_", ["/dev/full", "/proc/nothing", "/"])
def test_a_report_that_cannot_be_written_is_said_in_a_sentence(
    run: Run, write: Write, report_: str
) -> None:
    result = run("users", "import", write(ADA), "--report", report_, fails=True)

    assert "Error: " in result.stderr


# Beside registration


@pytest.mark.postgresql
def test_beside_registrations_of_the_same_people_everybody_gets_one_account(
    app: Flask, write: Write, report: Report, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importing, "BATCH", 7)
    file = write(*numbered(60))
    begin = Barrier(5, timeout=20)
    answers: list[int] = []

    def register(numbers: range) -> None:
        client = app.test_client()
        begin.wait()
        for number in numbers:
            row = numbered(number + 1)[number]
            # Half of them want a name that goes with another address in the file.
            name = row["username"] if number % 2 else f"person{59 - number}"
            account = {"email": row["email"], "username": name, "password": PASSWORD}
            response = client.post(f"{API}/auth/register", json=account)
            answers.append(response.status_code)

    threads = [Thread(target=register, args=[range(part, 60, 4)]) for part in range(4)]
    for thread in threads:
        thread.start()
    begin.wait()
    told = report(file)
    for thread in threads:
        thread.join()

    users = everybody(app)
    assert set(answers) <= {201, 400}
    assert len({user["email"] for user in users}) == len(users)
    assert {row["outcome"] for row in told} <= {"created", "skipped", "refused"}
    created = sum(row["outcome"] == "created" for row in told)
    assert created + answers.count(201) == len(users)
    assert {row["reason"] for row in told} <= {
        *(None, "already_there", "email_taken", "username_taken")
    }


@pytest.mark.postgresql
def test_a_registration_that_a_batch_waits_for_and_that_waits_for_it_is_let_through(
    app: Flask, write: Write, report: Report, monkeypatch: pytest.MonkeyPatch
) -> None:
    name_is_held, address_is_held = Barrier(2, timeout=20), Barrier(2, timeout=20)
    insert_rows = importing._insert_rows

    def insert_in_two_steps(rows: list[dict[str, Any]]) -> dict[str, int]:
        if len(rows) < 2 or name_is_held.n_waiting < 0 or crossed:
            return insert_rows(rows)
        crossed.append(True)
        first = insert_rows(rows[:1])
        name_is_held.wait()
        address_is_held.wait()
        return first | insert_rows(rows[1:])

    crossed: list[bool] = []
    monkeypatch.setattr(importing, "_insert_rows", insert_in_two_steps)
    failed: list[Exception] = []

    def take_address_then_name() -> None:
        with app.app_context():
            try:
                name_is_held.wait()
                connection = db.session.connection()
                stranger = {"username": "stranger", "username_key": "stranger"}
                connection.execute(insert(User).values(email="bob@example.com", **stranger))
                address_is_held.wait()
                connection.execute(
                    insert(User).values(email="x@example.com", username="ada", username_key="ada")
                )
                db.session.commit()
            except Exception as error:
                failed.append(error)

    stranger = Thread(target=take_address_then_name)
    stranger.start()
    told = report(write(ADA, BOB))
    stranger.join()

    assert failed == []
    assert outcomes(told) == [("refused", "username_taken"), ("refused", "email_taken")]


def test_an_import_goes_on_beside_somebody_who_writes(
    app: Flask, client: FlaskClient, write: Write, report: Report, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importing, "BATCH", 5)
    stop: list[bool] = []

    def keep_registering() -> None:
        mine, number = app.test_client(), 0
        while not stop:
            number += 1
            account = {"email": f"w{number}@example.com", "username": f"writer{number}"}
            response = mine.post(f"{API}/auth/register", json=account | {"password": PASSWORD})
            assert response.status_code == 201, response.text

    writer = Thread(target=keep_registering)
    writer.start()
    told = report(write(*numbered(100)))
    stop.append(True)
    writer.join()

    assert outcomes(told) == [("created", None)] * 100


def test_a_wrong_password_is_wrong_for_an_imported_account_too(
    client: FlaskClient, app: Flask, write: Write, report: Report
) -> None:
    report(write(ADA | {"hashed_password": werkzeug(PASSWORD)}))

    response = client.post(
        f"{API}/auth/login", json={"username": "ada", "password": "wrong password"}
    )

    assert problem(response) == (401, "invalid_credentials")


def test_a_csv_file_without_a_column_email_stops_the_import(
    app: Flask, run: Run, write: Write
) -> None:
    file = write("name,mail", "ada,ada@example.com", name="accounts.csv")

    result = run("users", "import", file, fails=True)

    assert result.exit_code == 1
    assert "There is no column email. The columns are: name, mail." in result.output
    assert everybody(app) == []


def test_refused_rows_without_a_report_say_how_to_get_one(
    run: Run, write: Write, tmp_path: Path
) -> None:
    file = write({"email": "ada@example.com"}, {"email": "no address"})
    hint = "Refused 1 row. `--report FILE` writes down which ones, and why."

    without = run("users", "import", file, "--dry-run", fails=True)
    with_one = run("users", "import", file, "--dry-run", "--report", tmp_path / "report.jsonl")

    assert without.exit_code == 2
    assert hint in without.output
    assert hint not in with_one.output


def test_the_report_is_not_a_file_called_dash(run: Run, write: Write) -> None:
    file = write({"email": "ada@example.com"})

    result = run("users", "import", file, "--report", "-", fails=True)

    assert result.exit_code == 2
    assert "The report needs a file of its own" in result.output
    assert not Path("-").exists()


def test_a_quote_that_is_not_closed_is_told_in_plain_words(write: Write, report: Report) -> None:
    file = write("email,username", 'ada@example.com,"ada', name="accounts.csv")

    (told,) = report(file)

    assert told["detail"] == "has a quote that is opened and not closed"
