"""What a feature brings takes effect: each test brings one part of it."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import click
import flask
import pytest
from babel.messages.catalog import Catalog
from babel.messages.mofile import write_mo
from flask import Flask
from marshmallow import fields
from sqlalchemy import ForeignKey, delete, select
from sqlalchemy.orm import mapped_column

from app import audit, clock
from app.access.proof import Proof
from app.audit import vocabulary
from app.errors import AppError, LoginRefused
from app.extensions import Base, db
from app.features import ExportPart, Feature, Weight, check
from app.http.blueprint import Blueprint
from app.mail import delivery, outbox
from app.mail.content import Content
from app.mail.wordings import message
from app.models import AuditEvent, Session, User
from app.security import one_time_tokens
from app.users import closing
from config import Settings, settings
from configuration.table import variable
from configuration.values import integer
from tests.factories import API, PASSWORD, bearer, log_in, problem
from tests.features.conftest import Install, MakeModel
from tests.mailbox import Mailbox

CREDENTIALS = {"username": "ada", "password": PASSWORD}
Create = Callable[[type[Base]], None]

WRITTEN = vocabulary.declare("acme_written", alarming=True)
SHARING = one_time_tokens.declare("acme_sharing", lifetime=timedelta(minutes=5))


class CodeRequired(LoginRefused):
    status, code, detail = 403, "acme_code_required", "Enter the code."


class Closed(AppError):
    status, code, detail = 409, "acme_closed", "The shop is closed."


@message("acme_shared")
def shared(*, name: str) -> Content:
    return Content("Shared", (name,), template="acme/shared")


# Calls, pages and commands


def test_its_calls_are_under_its_name_and_in_the_document(install: Install) -> None:
    calls = Blueprint("acme_calls", __name__)

    @calls.get("/greeting")
    @calls.returns(200)
    def greet() -> dict[str, str]:
        """Say hello."""
        return {"greeting": "Hello"}

    client = install(Feature(name="acme", blueprints=[calls])).test_client()

    assert client.get(f"{API}/acme/greeting").json == {"greeting": "Hello"}
    assert f"{API}/acme/greeting" in client.get("/openapi.json").json["paths"]


def test_its_pages_are_at_their_own_paths(install: Install) -> None:
    pages = flask.Blueprint("acme_pages", __name__)
    pages.add_url_rule("/shop", "shop", lambda: "the shop")

    response = install(Feature(name="acme", pages=[pages])).test_client().get("/shop")

    assert response.text == "the shop"


def test_its_errors_have_the_shape_of_ours(install: Install) -> None:
    pages = flask.Blueprint("acme_errors", __name__)

    def close() -> str:
        raise Closed

    pages.add_url_rule("/closed", "closed", close)

    client = install(Feature(name="acme", pages=[pages], errors=[Closed])).test_client()

    assert problem(client.get("/closed")) == (409, "acme_closed")


def test_its_commands_run(install: Install) -> None:
    greet = click.Command("greet", callback=lambda: click.echo("hello"))

    done = install(Feature(name="acme", commands=[greet])).test_cli_runner().invoke(args=["greet"])

    assert done.output == "hello\n"


@dataclass(frozen=True, kw_only=True)
class AcmeSettings:
    most: int = variable("ACME_MOST", "3", integer(1, 9))


def test_its_settings_are_read_with_ours(install: Install) -> None:
    app = install(Feature(name="acme", settings=AcmeSettings), ACME_MOST="7")

    with app.app_context():
        assert settings.of(AcmeSettings).most == 7


# The login


def ask_for_code(user: User, proof: Proof) -> Proof:
    raise CodeRequired(ticket=f"for {user.username}")


def test_a_stage_stops_the_login_with_a_ticket(install: Install, ada: User) -> None:
    client = install(Feature(name="acme", stages=[ask_for_code])).test_client()

    response = client.post(f"{API}/auth/login", json=CREDENTIALS)

    assert problem(response) == (403, "acme_code_required")
    assert response.json["ticket"] == "for ada"


def test_a_stopped_login_makes_no_session(install: Install, ada: User) -> None:
    app = install(Feature(name="acme", stages=[ask_for_code]))

    app.test_client().post(f"{API}/auth/login", json=CREDENTIALS)

    with app.app_context():
        assert db.session.scalars(select(Session)).all() == []
        assert db.session.scalars(select(AuditEvent.event)).all() == []


def test_a_stage_runs_only_for_the_right_password(install: Install, ada: User) -> None:
    client = install(Feature(name="acme", stages=[ask_for_code])).test_client()

    response = client.post(f"{API}/auth/login", json=CREDENTIALS | {"password": "wrong"})

    assert problem(response) == (401, "invalid_credentials")


def test_a_stage_that_lets_pass_changes_nothing(install: Install, ada: User) -> None:
    app = install(Feature(name="acme", stages=[lambda user, proof: proof]))

    assert log_in(app.test_client(), ada)["access_token"]


def test_an_oauth_client_learns_of_a_stage_as_invalid_grant(install: Install, ada: User) -> None:
    client = install(Feature(name="acme", stages=[ask_for_code])).test_client()

    response = client.post(f"{API}/auth/token", data=CREDENTIALS | {"grant_type": "password"})

    assert problem(response) == (400, "invalid_grant")


# What is stored about people


def things(make_model: MakeModel, create: Create, **key: Any) -> type[Base]:
    model = make_model("acme_things", user_id=mapped_column(ForeignKey(User.id, **key)))
    create(model)
    return model


def owners(model: Any) -> Any:
    return db.session.scalars(select(model.user_id)).all()


def test_its_part_is_in_the_export_and_in_the_document(install: Install, ada: User) -> None:
    def names(user: User) -> Iterator[str]:
        yield from (user.username, "another")

    part = ExportPart("acme", fields.List(fields.String(), required=True), names)
    client = install(Feature(name="acme", exported=[part])).test_client()

    export = client.get(
        f"{API}/users/me/export", headers=bearer(log_in(client, ada)["access_token"])
    )

    assert export.json["acme"] == ["ada", "another"]
    assert export.json["user"]["username"] == "ada"
    described = client.get("/openapi.json").json["components"]["schemas"]["Export"]
    assert described["properties"]["acme"] == {"type": "array", "items": {"type": "string"}}
    assert "acme" in described["required"]


def feature_with(model: Any, tmp_path: Path, **parts: Any) -> Feature:
    part = ExportPart("acme", fields.List(fields.String()), lambda user: [])
    return Feature(name="acme", models=[model], migrations=tmp_path, exported=[part], **parts)


def test_its_rows_are_erased_before_their_user(
    install: Install, ada: User, bob: User, make_model: MakeModel, create: Create, tmp_path: Path
) -> None:
    model: Any = things(make_model, create)

    def erase(ids: Any) -> None:
        db.session.execute(delete(model).where(model.user_id.in_(ids)))

    app = install(feature_with(model, tmp_path, erased=erase))
    with app.app_context():
        db.session.add_all([model(user_id=ada.id), model(user_id=bob.id)])
        db.session.commit()

        closing.erase(ada, actor=None)

        assert owners(model) == [bob.id]
        db.session.execute(delete(model))
        db.session.commit()


def test_what_it_erased_comes_back_if_the_account_is_kept(
    install: Install, ada: User, make_model: MakeModel, create: Create, tmp_path: Path
) -> None:
    model: Any = things(make_model, create, ondelete="CASCADE")
    ids_of_each_try: list[list[int]] = []

    def erase(ids: Any) -> None:
        ids_of_each_try.append(list(ids))
        db.session.execute(delete(model).where(model.user_id.in_(ids)))
        # A login in between would do this.
        db.session.get_one(User, ada.id).deletion_due_at = None
        db.session.flush()
        if len(ids_of_each_try) == 2:
            db.session.get_one(User, ada.id).deletion_due_at = clock.now() - timedelta(days=1)
            db.session.flush()

    app = install(feature_with(model, tmp_path, erased=erase))
    with app.app_context():
        db.session.get_one(User, ada.id).deletion_due_at = clock.now() - timedelta(days=1)
        db.session.add(model(user_id=ada.id))
        db.session.commit()

        assert closing.erase_due(10) == 1

    assert ids_of_each_try == [[ada.id], [ada.id]]


def test_prune_removes_its_rows_after_ours(install: Install) -> None:
    removed = iter([5, 0])
    app = install(Feature(name="acme", prunes={"things of acme": lambda limit: next(removed)}))

    done = app.test_cli_runner().invoke(args=["prune"])

    assert done.exit_code == 0, done.output
    assert done.output.splitlines()[-1] == "Removed 5 things of acme."


def test_the_help_of_prune_lists_what_it_removes(install: Install) -> None:
    app = install(Feature(name="acme", prunes={"things of acme": lambda limit: 0}))

    told = app.test_cli_runner().invoke(args=["prune", "--help"])

    assert told.exit_code == 0, told.output
    lines = [" ".join(line.split()) for line in told.output.splitlines()]
    assert "things of acme of the feature acme" in lines


# What it declares


def test_its_event_is_recorded_and_raises_an_alarm(
    install: Install, ada: User, caplog: pytest.LogCaptureFixture
) -> None:
    app = install(Feature(name="acme", events=[WRITTEN]))

    with app.app_context():
        audit.record(WRITTEN, subject_id=ada.id)
        db.session.commit()
        assert db.session.scalars(select(AuditEvent.event)).all() == ["acme_written"]

    assert [line.levelname for line in caplog.records if line.message == "acme_written"] == [
        "WARNING"
    ]


def test_its_links_work_as_long_as_it_says(install: Install, ada: User) -> None:
    with install(Feature(name="acme")).app_context():
        token = one_time_tokens.issue(ada.id, SHARING, email=ada.email)
        db.session.commit()

        found = one_time_tokens.read(token, SHARING)

        assert found.expires_at - found.created_at == timedelta(minutes=5)
        with pytest.raises(AppError):
            one_time_tokens.read(token, one_time_tokens.Purpose.PASSWORD_RESET)


def test_its_check_is_among_those_of_the_doctor(install: Install, ada: User) -> None:
    @check(Weight.WEAK, "Open the shop.")
    def shop_is_open(_settings: Settings) -> str | None:
        return "The shop is closed."

    app = install(Feature(name="acme", checks=[shop_is_open]))
    done = app.test_cli_runner().invoke(args=["doctor"])

    assert "  shop_is_open\n    The shop is closed.\n    Open the shop." in done.output


# Mail and words


def test_its_mail_is_made_of_its_templates(install: Install, ada: User, tmp_path: Path) -> None:
    templates = tmp_path / "templates"
    templates.mkdir()
    (templates / "shared.txt").write_text("{{ content.paragraphs[0] }} in a text of acme")
    (templates / "shared.html").write_text("<p>{{ content.paragraphs[0] }}</p>")
    letters = tmp_path / "letters"
    app = install(
        Feature(name="acme", mails=[shared], templates=templates), MAIL_URL=f"file://{letters}"
    )

    with app.app_context():
        outbox.queue(shared, to=ada.email, user=ada, name="a note")
        db.session.commit()
        for row in delivery.claim(10):
            assert row.message == "acme_shared"
            delivery.deliver(row)

    (letter,) = letters.glob("*.eml")
    assert "a note in a text of acme" in letter.read_text()


def test_a_mail_whose_feature_is_gone_waits_with_a_reason(
    app: Flask, ada: User, mailbox: Mailbox
) -> None:
    name = f"gone_{uuid4().hex[:8]}"

    @message(name)
    def gone() -> Content:
        return Content("Gone", ())

    with app.app_context():
        outbox.queue(gone, to=ada.email, user=ada)
        db.session.flush()
        db.session.execute(db.update(outbox.OutboxMessage).values(message="acme_of_yesterday"))
        db.session.commit()

    assert mailbox.deliver() == []

    with app.app_context():
        (row,) = delivery.list_all(delivered_too=True)
        assert row.state == "waiting"
        assert "no message is called acme_of_yesterday" in str(row.last_error)


def test_its_translations_are_used_and_ours_win(install: Install, tmp_path: Path) -> None:
    catalog = Catalog(locale="zh")
    catalog.add("The shop is closed.", "商店关门了")
    catalog.add("Not authenticated", "别的")
    folder = tmp_path / "translations"
    (folder / "zh" / "LC_MESSAGES").mkdir(parents=True)
    with (folder / "zh" / "LC_MESSAGES" / "messages.mo").open("wb") as file:
        write_mo(file, catalog)
    pages = flask.Blueprint("acme_words", __name__)

    def close() -> str:
        raise Closed

    pages.add_url_rule("/closed", "closed", close)
    client = install(Feature(name="acme", pages=[pages], translations=folder)).test_client()

    answers = [
        client.get(path, headers={"Accept-Language": "zh"}).json["detail"]
        for path in ("/closed", f"{API}/users/me")
    ]

    assert answers[0] == "商店关门了"
    assert answers[1] not in ("别的", "Not authenticated")
