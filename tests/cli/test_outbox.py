"""flask outbox …"""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result
from flask import Flask

from app.mail import messages, transport
from tests.cases import each
from tests.mail.letters import Letter, deliver, only_row, queue, read_letters, rows

Run = Callable[..., Result]

TOKEN = "a-token-that-nobody-may-see"


@pytest.fixture
def run(app: Flask) -> Run:
    """Run a command of ``flask outbox`` against the test database."""

    def command(*arguments: str, stdin: str = "") -> Result:
        return app.test_cli_runner().invoke(args=("outbox", *arguments), input=stdin)

    return command


@pytest.fixture
def waiting(app: Flask) -> int:
    """A mail to Ada that nobody has tried yet."""
    return queue(app, messages.verify_email, token=TOKEN)


@pytest.fixture
def set_aside(app: Flask, waiting: int, monkeypatch: pytest.MonkeyPatch) -> int:
    """A mail to Ada that the mail server will not take."""

    def refuse(*_: object, **__: object) -> None:
        raise transport.Refused("550 no such user")

    with monkeypatch.context() as patch:
        patch.setattr(transport, "send", refuse)
        deliver(app)
    return waiting


@pytest.fixture
def letters(set_settings: Callable[..., None], tmp_path: Path) -> Callable[[], list[Letter]]:
    """Deliver into a folder, and read what is in it."""
    folder = tmp_path / "letters"
    set_settings(mail_url=f"file://{folder}")
    return lambda: read_letters(folder)


def refusal(result: Result) -> str:
    """What a refused command says, having said it as a sentence and not as a traceback."""
    assert result.exit_code != 0
    assert isinstance(result.exception, SystemExit), result.exception
    return result.stderr


# flask outbox list


def test_list_shows_what_waits(run: Run, waiting: int) -> None:
    result = run("list")

    head, line = result.stdout.splitlines()
    assert head.split() == ["ID", "MESSAGE", "RECIPIENT", "STATE", "ATTEMPTS", "ERROR"]
    assert line.split() == [str(waiting), "verify_email", "ada@example.com", "waiting", "0"]


def test_list_shows_why_a_mail_was_set_aside(run: Run, set_aside: int) -> None:
    result = run("list")

    assert "set aside" in result.stdout
    assert "550 no such user" in result.stdout


def test_list_shows_delivered_mails_on_request(
    run: Run, app: Flask, waiting: int, letters: Callable[[], list[Letter]]
) -> None:
    deliver(app)

    listed, everything = run("list"), run("list", "--all")

    assert "verify_email" not in listed.stdout
    assert "delivered" in everything.stdout


def test_list_prints_json_for_scripts(run: Run, set_aside: int) -> None:
    result = run("list", "--json")

    assert json.loads(result.stdout) == [
        {
            "id": set_aside,
            "message": "verify_email",
            "recipient": "ada@example.com",
            "state": "set aside",
            "attempts": 1,
            "error": "550 no such user",
        }
    ]


def test_an_empty_outbox_is_an_empty_list(run: Run) -> None:
    result = run("list", "--json")

    assert json.loads(result.stdout) == []


# flask outbox show


def test_show_tells_everything_but_the_link(run: Run, set_aside: int) -> None:
    result = run("show", str(set_aside))

    told = dict(line.split(": ", 1) for line in result.stdout.splitlines())
    assert told["recipient"] == "ada@example.com"
    assert told["state"] == "set aside"
    assert told["last_error"] == "550 no such user"
    assert told["message_id"].startswith("<")
    assert "delivered_at" not in told
    assert TOKEN not in result.stdout


# flask outbox retry


def test_retry_has_a_mail_delivered_after_all(
    run: Run, app: Flask, set_aside: int, letters: Callable[[], list[Letter]]
) -> None:
    result = run("retry", str(set_aside))

    retried = only_row(app)
    assert result.stdout == f"Mail {set_aside} is due.\n"
    assert (retried.state, retried.attempts) == ("waiting", 0)
    assert deliver(app) == 1
    assert [letter.token for letter in letters()] == [TOKEN]


def test_retry_sends_no_delivered_mail_again(
    run: Run, app: Flask, waiting: int, letters: Callable[[], list[Letter]]
) -> None:
    deliver(app)

    result = run("retry", str(waiting))
    tried = deliver(app)

    assert result.exit_code == 1
    assert f"Mail {waiting} was delivered already." in result.stderr
    assert tried == 0
    assert only_row(app).state == "delivered"


# flask outbox drop


@pytest.mark.parametrize("answer", ["", "n\n"])
def test_drop_asks_first(run: Run, app: Flask, waiting: int, answer: str) -> None:
    result = run("drop", str(waiting), stdin=answer)

    assert result.exit_code != 0
    assert len(rows(app)) == 1


@pytest.mark.parametrize(("options", "answer"), [((), "y\n"), (("--yes",), "")])
def test_drop_deletes_the_mail(
    run: Run, app: Flask, waiting: int, options: tuple[str, ...], answer: str
) -> None:
    result = run("drop", str(waiting), *options, stdin=answer)

    assert result.exit_code == 0, result.output
    assert result.stdout.endswith(f"Mail {waiting} is gone.\n")
    assert rows(app) == []


# All of them


@each("command", [("show",), ("retry",), ("drop", "--yes")])
@each("number", ["0", "99999999", "99999999999999999999999"])
def test_a_mail_that_there_is_not_is_named_in_one_line(
    run: Run, app: Flask, command: tuple[str, ...], number: str
) -> None:
    result = run(*command, number)

    assert refusal(result) == f"Error: There is no mail {number}.\n"


@pytest.mark.parametrize("command", ["show", "retry", "drop"])
def test_what_is_no_number_is_refused(run: Run, command: str) -> None:
    result = run(command, "first")

    assert result.exit_code == 2
    assert "'first' is not a valid integer" in refusal(result)


def test_help_teaches(run: Run) -> None:
    result = run("--help")

    assert all(name in result.stdout for name in ("run", "list", "show", "retry", "drop"))
    assert "deliver" in result.stdout.lower()


@pytest.mark.parametrize(
    ("command", "lesson"),
    [
        ("run", "The server delivers mail by itself."),
        ("list", "were set aside"),
        ("show", "except the link"),
        ("retry", "Try a mail again"),
        ("drop", "Do not ask"),
    ],
)
def test_each_command_says_what_it_does(run: Run, command: str, lesson: str) -> None:
    result = run(command, "--help")

    assert lesson in " ".join(result.stdout.split())


def test_no_command_delivers_on_the_way(
    run: Run, app: Flask, waiting: int, letters: Callable[[], list[Letter]]
) -> None:
    run("list")
    run("show", str(waiting))
    run("retry", str(waiting))

    assert letters() == []
    assert only_row(app).state == "waiting"


def test_run_once_delivers_what_is_due_and_ends(
    run: Run, waiting: int, letters: Callable[[], list[Letter]]
) -> None:
    result = run("run", "--once")

    assert (result.exit_code, result.output) == (0, "Tried 1 mail.\n")
    assert len(letters()) == 1
