"""Prepared statements: what they return, and in which transaction they run."""

import pytest
from flask import Flask
from sqlalchemy import bindparam, insert, select, update

from app import clock
from app.database.prepared import Prepared
from app.extensions import db
from app.models import Session, User

RENAMING = Prepared(
    update(User)
    .where(User.id == bindparam("user"))
    .values(full_name=bindparam("name"))
    .returning(User),
    User,
)
OF_DEVICES = Prepared(
    select(Session, User)
    .join(User, Session.user_id == User.id)
    .where(User.id == bindparam("user"))
    .order_by(Session.user_agent),
    Session,
    User,
)
ID_AND_NAME = Prepared(select(User.id, User.username).where(User.id == bindparam("user")))


def columns_of(row: User | Session) -> dict[str, object]:
    return {column.key: getattr(row, column.key) for column in row.__table__.columns}


def test_the_objects_are_those_that_the_orm_would_have_loaded(app: Flask, ada: User) -> None:
    now = clock.now()
    times = dict.fromkeys(("refreshed_at", "expires_at", "max_expires_at"), now)
    with app.app_context():
        for agent in ("one", "two"):
            db.session.execute(insert(Session).values(user_id=ada.id, user_agent=agent, **times))
        db.session.commit()

        found = OF_DEVICES.run_alone(user=ada.id)
        by_orm = db.session.execute(select(Session, User).join(User).order_by(Session.user_agent))

        assert [session.user_agent for session, _ in found] == ["one", "two"]
        assert [(columns_of(session), columns_of(user)) for session, user in found] == [
            (columns_of(session), columns_of(user)) for session, user in by_orm
        ]


def test_the_objects_are_outside_the_session(app: Flask, ada: User) -> None:
    with app.app_context():
        [user] = RENAMING.run_alone(user=ada.id, name="Ada Lovelace")

        assert user not in db.session
        assert user.full_name == "Ada Lovelace"


def test_without_models_a_row_is_a_tuple(app: Flask, ada: User) -> None:
    with app.app_context():
        assert ID_AND_NAME.run_alone(user=ada.id) == [(ada.id, "ada")]
        assert ID_AND_NAME.run_alone(user=0) == []


@pytest.mark.parametrize(("statement_commits", "kept"), [(True, "Ada Lovelace"), (False, None)])
def test_only_a_statement_that_runs_alone_commits(
    app: Flask, ada: User, statement_commits: bool, kept: str | None
) -> None:
    with app.app_context():
        run = RENAMING.run_alone if statement_commits else RENAMING.run
        [renamed] = run(user=ada.id, name="Ada Lovelace")
        db.session.rollback()

        assert renamed.full_name == "Ada Lovelace"
        assert db.session.scalar(select(User.full_name).where(User.id == ada.id)) == kept


def test_what_runs_in_the_transaction_sees_its_changes(app: Flask, ada: User) -> None:
    with app.app_context():
        db.session.execute(update(User).where(User.id == ada.id).values(username="renamed"))

        assert ID_AND_NAME.run(user=ada.id) == [(ada.id, "renamed")]
        db.session.rollback()
