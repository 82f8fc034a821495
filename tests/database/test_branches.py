"""Migrations of features: a branch for each, beside the core's."""

import shutil
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import flask_migrate
import pytest
import sqlalchemy
from click.testing import Result
from flask import Flask
from sqlalchemy import Column, ForeignKey, Integer, String, Table

from app.cli import migrating
from app.database import branches, copying, fitness, migration_state
from app.extensions import db
from config import SettingsRefused
from tests.database.test_interrupted_upgrades import Interrupted, interrupting
from tests.database.upgraded import application, schema, tables
from tests.servers import ROOT

HEAD = sorted((ROOT / "migrations" / "versions").glob("*.py"))[-1].stem.partition("_")[0]
NEXT_OF_THE_CORE = f'''"""Something new."""

from alembic import op
from sqlalchemy import Column, Integer

revision = "9999"
down_revision = "{HEAD}"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table("novelties", Column("id", Integer, primary_key=True))


def downgrade() -> None:
    op.drop_table("novelties")
'''


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The folder of the feature's migrations, which its first migration makes."""
    return tmp_path / "notes" / "migrations"


@pytest.fixture(autouse=True)
def own_history(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of our migrations, so that a test may write one."""
    copy = tmp_path / "migrations"
    shutil.copytree(ROOT / "migrations", copy, ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr(branches, "MIGRATIONS", copy)
    return copy / "versions"


@pytest.fixture
def notes(new_database: str, folder: Path) -> Iterator[Flask]:
    """An application with a feature ``notes``, whose first table has no migration yet."""
    table = Table(
        "notes_note",
        db.metadata,
        Column("id", Integer, primary_key=True),
        Column("user_id", ForeignKey("users.id", ondelete="CASCADE"), nullable=False, index=True),
        Column("text", String(500), nullable=False),
    )
    try:
        with application(new_database) as app:
            flask_migrate.upgrade()
            branches.init_app(app, {"notes": folder})
            yield app
    finally:
        for name in ("notes_note", "notes_page", "notes"):
            if name in db.metadata.tables:
                db.metadata.remove(db.metadata.tables[name])
        del table


@pytest.fixture
def new_table() -> Iterator[Callable[[str], Table]]:
    """Give a model a table, for this test."""
    made: list[Table] = []

    def make(name: str) -> Table:
        made.append(Table(name, db.metadata, Column("id", Integer, primary_key=True)))
        return made[-1]

    yield make
    for table in made:
        db.metadata.remove(table)


def run(app: Flask, *arguments: str) -> Result:
    # As a process of its own would read what is written now.
    branches._read.cache_clear()
    done = app.test_cli_runner().invoke(args=["db", *arguments])
    branches._read.cache_clear()
    return done


def flask_db(app: Flask, *arguments: str) -> str:
    done = run(app, *arguments)
    assert done.exit_code == 0, (done.output, done.exception)
    return done.output


def refused(app: Flask, *arguments: str) -> str:
    done = run(app, *arguments)
    assert done.exit_code != 0, done.output
    return f"{done.output}{done.exception}"


def written(folder: Path) -> dict[str, str]:
    return {file.name: file.read_text() for file in sorted(folder.glob("*.py"))}


def is_current() -> bool:
    branches._read.cache_clear()
    with db.engine.connect() as connection:
        return migration_state.read(connection).is_current


def applied() -> set[str]:
    with db.engine.connect() as connection:
        return set(migration_state.applied(connection))


def first_migration(app: Flask) -> None:
    flask_db(app, "migrate", "--feature", "notes", "-m", "Notes")


# Writing migrations


def test_the_first_migration_of_a_feature_begins_its_branch(notes: Flask, folder: Path) -> None:
    first_migration(notes)

    (name, text), *others = written(folder).items()
    assert (name, others) == ("notes_0001_notes.py", [])
    assert 'revision = "notes_0001"' in text.replace("'", '"')
    assert "down_revision = None" in text
    assert "branch_labels = ('notes',)" in text
    assert f"depends_on = '{HEAD}'" in text
    assert text.count("create_table") == 1
    assert "notes_note" in text


def test_the_next_one_goes_on_from_it(
    notes: Flask, folder: Path, new_table: Callable[[str], Table]
) -> None:
    first_migration(notes)
    flask_db(notes, "upgrade")
    new_table("notes_page")

    flask_db(notes, "migrate", "--feature", "notes", "-m", "Pages")

    text = written(folder)["notes_0002_pages.py"]
    assert "down_revision = 'notes_0001'" in text
    assert "branch_labels = None" in text
    assert "notes_page" in text
    assert "notes_note" not in text
    assert "drop_" not in text.partition("def downgrade")[0]


def test_where_nothing_has_changed_no_migration_is_written(notes: Flask, folder: Path) -> None:
    first_migration(notes)
    flask_db(notes, "upgrade")

    told = flask_db(notes, "migrate", "--feature", "notes", "-m", "Nothing")

    assert "no migration was written" in told
    assert list(written(folder)) == ["notes_0001_notes.py"]


def test_a_migration_by_hand_finds_the_branch_too(notes: Flask, folder: Path) -> None:
    flask_db(notes, "revision", "--feature", "notes", "-m", "By hand")

    text = written(folder)["notes_0001_by_hand.py"]
    assert "branch_labels = ('notes',)" in text
    assert "create_table" not in text


def test_a_migration_of_the_core_leaves_the_tables_of_features_alone(
    notes: Flask, own_history: Path, new_table: Callable[[str], Table]
) -> None:
    """Those of a feature that is loaded, and those of one that is not."""
    first_migration(notes)
    flask_db(notes, "upgrade")
    with db.engine.begin() as connection:
        connection.exec_driver_sql("CREATE TABLE billing_invoice (id INTEGER PRIMARY KEY)")
        connection.exec_driver_sql("ALTER TABLE notes_note ADD COLUMN unknown INTEGER")
    new_table("novelties")

    flask_db(notes, "migrate", "-m", "Novelties", "--rev-id", "9999")

    text = written(own_history)["9999_novelties.py"]
    assert f"down_revision = '{HEAD}'" in text
    assert "novelties" in text
    assert "notes_note" not in text
    assert "billing_invoice" not in text


def test_a_migration_of_a_feature_leaves_all_other_tables_alone(
    notes: Flask, folder: Path, new_table: Callable[[str], Table]
) -> None:
    with db.engine.begin() as connection:
        connection.exec_driver_sql("CREATE TABLE notes_left (id INTEGER PRIMARY KEY)")
        connection.exec_driver_sql("CREATE TABLE billing_invoice (id INTEGER PRIMARY KEY)")
    new_table("novelties")

    first_migration(notes)

    text = written(folder)["notes_0001_notes.py"]
    assert "op.create_table('notes_note'" in text
    assert all(name not in text for name in ("notes_left", "billing_invoice", "novelties"))


def test_the_longest_name_owns_a_table(notes: Flask, tmp_path: Path) -> None:
    branches.init_app(notes, {"notes": tmp_path, "notes_shared": tmp_path, "no": tmp_path})

    owners = {
        table: branches.owner(table)
        for table in ("notes_note", "notes_shared_note", "notes", "no_tes", "users", "noses_x")
    }

    assert owners == {
        "notes_note": "notes",
        "notes_shared_note": "notes_shared",
        "notes": "notes",
        "no_tes": "no",
        "users": "core",
        "noses_x": "core",
    }


def test_a_feature_that_is_not_loaded_is_named(notes: Flask) -> None:
    told = refused(notes, "migrate", "--feature", "billing", "-m", "Invoices")

    assert "FEATURES names no feature billing that has migrations." in told
    assert "These have some: notes." in told


def test_check_compares_the_tables_of_every_branch(notes: Flask) -> None:
    first_migration(notes)
    flask_db(notes, "upgrade")
    clean = run(notes, "check")
    with db.engine.begin() as connection:
        connection.exec_driver_sql("DROP INDEX ix_notes_note_user_id")

    missing = run(notes, "check")

    assert clean.exit_code == 0
    assert missing.exit_code == 1


# Running them


def test_an_upgrade_brings_every_branch_to_its_head(notes: Flask) -> None:
    first_migration(notes)
    before = is_current()

    flask_db(notes, "upgrade")

    assert not before
    assert is_current()
    assert "notes_note" in tables()


def test_a_new_database_gets_every_branch(notes: Flask) -> None:
    first_migration(notes)
    flask_db(notes, "upgrade")
    complete = schema()
    flask_db(notes, "downgrade", "base")
    nothing = tables()

    flask_db(notes, "upgrade")

    assert nothing <= {"alembic_version"}
    assert schema() == complete


def test_a_feature_can_be_taken_out_and_put_in_again(notes: Flask) -> None:
    first_migration(notes)
    before = schema()
    flask_db(notes, "upgrade")
    with_notes = schema()

    flask_db(notes, "downgrade", "notes@base")

    assert schema() == before
    assert applied() == {HEAD}
    flask_db(notes, "upgrade")
    assert schema() == with_notes


def test_the_core_goes_on_beside_a_feature(notes: Flask, own_history: Path) -> None:
    first_migration(notes)
    flask_db(notes, "upgrade")
    (own_history / "9999_novelties.py").write_text(NEXT_OF_THE_CORE)
    behind = is_current()

    flask_db(notes, "upgrade")

    assert not behind
    assert is_current()
    assert {"novelties", "notes_note"} <= tables()
    assert applied() == {"9999", "notes_0001"}


def test_one_step_back_has_to_name_its_branch(notes: Flask) -> None:
    first_migration(notes)
    flask_db(notes, "upgrade")

    told = refused(notes, "downgrade")

    assert "flask db downgrade notes@-1" in told
    assert applied() == {"notes_0001"}
    flask_db(notes, "downgrade", "notes@-1")
    assert applied() == {HEAD}


def test_the_branch_of_the_core_has_no_name_to_go_back_by(notes: Flask) -> None:
    assert "flask db history lists them" in refused(notes, "downgrade", "core@-1")


def test_without_features_one_step_back_needs_no_name(new_database: str) -> None:
    with application(new_database) as app:
        flask_migrate.upgrade()

        flask_db(app, "downgrade")

        assert HEAD not in applied()


def test_an_upgrade_of_all_branches_can_be_interrupted_anywhere_and_run_again(
    notes: Flask,
) -> None:
    first_migration(notes)
    flask_db(notes, "downgrade", "base")
    seen: set[str] = set()

    with interrupting(seen):
        while True:
            with suppress(Interrupted):
                flask_migrate.upgrade(revision="heads")
                break
    resumed = schema()
    flask_db(notes, "downgrade", "base")
    flask_db(notes, "upgrade")

    assert any("notes_note" in statement for statement in seen)
    assert resumed == schema()


def test_the_sql_of_every_branch_can_be_printed(notes: Flask) -> None:
    first_migration(notes)

    printed = flask_db(notes, "upgrade", "--sql")

    assert "CREATE TABLE users" in printed
    assert "CREATE TABLE notes_note" in printed


# What readyz and the doctor know


# The rows of Alembic's table, and whether nothing is missing.
WITH_NOTES = {
    (HEAD, "notes_0001"): True,
    ("notes_0001",): True,  # It depends on our head.
    (HEAD,): False,
    ("0011",): False,
    (): False,
    # A rolling upgrade, of the core or of the feature.
    ("next", "notes_0001"): True,
    ("next",): False,
    (HEAD, "notes_0002"): True,
    ("notes_0002",): True,
    # Another feature, which is not loaded here. Its row may stand for our head.
    (HEAD, "billing_0003"): False,
    ("billing_0003", "notes_0001"): True,
    ("0011", "billing_0003", "notes_0002"): False,
}
WITHOUT = {
    (HEAD,): True,
    (HEAD, "billing_0003"): True,
    ("billing_0003",): True,
    ("0011", "billing_0003"): False,
    ("next",): True,
}


def test_a_database_is_current_when_every_branch_is(notes: Flask) -> None:
    first_migration(notes)

    found = {rows: migration_state._is_current(list(rows)) for rows in WITH_NOTES}

    assert found == WITH_NOTES


def test_the_tables_of_a_feature_that_is_not_loaded_are_no_flaw(new_database: str) -> None:
    with application(new_database):
        found = {rows: migration_state._is_current(list(rows)) for rows in WITHOUT}

    assert found == WITHOUT


def test_the_core_that_is_behind_is_seen_through_the_row_of_a_feature(
    notes: Flask, own_history: Path
) -> None:
    first_migration(notes)
    flask_db(notes, "upgrade")
    (own_history / "9999_novelties.py").write_text(NEXT_OF_THE_CORE)

    with db.engine.connect() as connection:
        branches._read.cache_clear()
        found = migration_state.applied(connection)
        current = migration_state.read(connection).is_current

    assert (found, current) == (["notes_0001"], False)


def test_an_upgrade_without_the_feature_says_what_to_name(notes: Flask) -> None:
    first_migration(notes)
    flask_db(notes, "upgrade")
    branches.init_app(notes, {})

    told = refused(notes, "upgrade")

    assert "the revision notes_0001" in told
    assert "FEATURES" in told
    assert is_current()


# What stops the start


def edit(folder: Path, old: str, new: str) -> None:
    (file,) = folder.glob("*.py")
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new))
    # In the same second and with the same length, Python would take the file for unchanged.
    shutil.rmtree(folder / "__pycache__", ignore_errors=True)


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        ("revision = 'notes_0001'", "revision = '0001'", "Revision 0001 is present more than once"),
        ("revision = 'notes_0001'", "revision = 'n1'", "begins with 'notes_'"),
        ("'notes_0001'", f"'notes_{'x' * 30}'", "at most 32 characters"),
        ("('notes',)", "None", "needs branch_labels = ('notes',)"),
        ("('notes',)", "('other',)", "needs branch_labels = ('notes',)"),
        (f"depends_on = '{HEAD}'", "depends_on = 'missing'", "do not fit together"),
    ],
)
def test_migrations_that_do_not_fit_stop_the_start(
    notes: Flask, folder: Path, old: str, new: str, sentence: str
) -> None:
    first_migration(notes)
    edit(folder, old, new)

    with pytest.raises(SettingsRefused, match="Cannot start: the migration") as start:
        fitness.refuse_unfit(notes)
    told = refused(notes, "upgrade")

    assert sentence in str(start.value)
    assert "notes_note" not in tables()
    assert "Cannot start: the migration" in told


def test_a_package_without_its_migrations_stops_the_start(notes: Flask, folder: Path) -> None:
    branches._read.cache_clear()
    with pytest.raises(SettingsRefused, match="there is no such folder") as start:
        fitness.refuse_unfit(notes)

    assert str(folder) in str(start.value)


# Copying


def test_a_copy_has_the_tables_of_the_features(notes: Flask, folder: Path, tmp_path: Path) -> None:
    first_migration(notes)
    flask_db(notes, "upgrade")
    with db.engine.begin() as connection:
        connection.exec_driver_sql(
            "INSERT INTO users (email, username, username_key) VALUES ('a@example.com', 'a', 'a')"
        )
        connection.exec_driver_sql(
            "INSERT INTO notes_note (user_id, text) SELECT id, 'Buy milk' FROM users"
        )
    target = sqlalchemy.create_engine(f"sqlite:///{tmp_path / 'copy.db'}")
    with application(str(target.url)) as app:
        flask_migrate.upgrade()
        with notes.app_context(), pytest.raises(copying.NotCopied, match="same FEATURES"):
            list(copying.copy(db.engine, target, db.metadata))
        branches.init_app(app, branches.folders() | {"notes": folder})
        flask_db(app, "upgrade")

    with notes.app_context():
        list(copying.copy(db.engine, target, db.metadata))

    with target.connect() as connection:
        copied = connection.exec_driver_sql("SELECT text FROM notes_note").scalar()
    target.dispose()
    assert copied == "Buy milk"


def test_the_commands_say_what_feature_means() -> None:
    for name in ("migrate", "revision"):
        assert "--feature" in migrating.migrations.commands[name].get_help(
            migrating.migrations.make_context("db", [name, "--help"], resilient_parsing=True)
        )
