"""``flask db …``: the commands of Flask-Migrate, which end as our own commands do.

The history of migrations has a branch for each feature with own tables. So
these commands mean all branches where Flask-Migrate means the only one, and
write a migration for one branch.
"""

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import flask_migrate
from alembic import command
from flask import current_app
from flask.cli import ScriptInfo, with_appcontext
from flask_migrate.cli import db as theirs

from app.cli.refusals import LoggedCommand, OperatorGroup
from app.database import branches, migrating
from app.database.migrating import migrate


class AlembicConfig(flask_migrate.Config):  # type: ignore[misc]  # Flask-Migrate has no types
    """Alembic's configuration, whose output goes where standard output is now.

    Alembic itself keeps the stream that it found when it was imported, which
    is ``None`` where a shell has closed it. It also ignores errors of that
    stream, so that output is lost with exit status 0 on a full disk.
    """

    def print_stdout(self, text: str, *arguments: Any) -> None:
        click.echo(str(text) % arguments if arguments else str(text))


# Flask-Migrate makes each configuration of the class that it finds under this name.
flask_migrate.Config = AlembicConfig

FEATURE = click.Option(
    ["--feature"],
    metavar="NAME",
    help="Write the migration for the tables of this feature, whose names begin with NAME_, into "
    "the feature's own folder and branch. Without it, the migration is for the tables of the core.",
)


@with_appcontext
def write(*, directory: str | None, message: str | None, feature: str | None, **given: Any) -> None:
    """Write a migration. What the caller gave wins over what fits the branch."""
    place = branches.next_migration(_known(feature))
    group = click.get_current_context().parent
    of_the_group = group.params if group else {}
    x_arg = given.pop("x_arg", ()) or of_the_group.get("x_arg", ())
    given.setdefault("autogenerate", True)
    chosen = {name: value for name, value in given.items() if value not in (None, "head")}
    configuration = migrate.get_config(
        directory or of_the_group.get("directory"),
        opts=["autogenerate"] if given["autogenerate"] else None,
        x_arg=x_arg,
    )
    # migrations/env.py reads it.
    configuration.attributes["branch"] = feature or branches.CORE
    flask_migrate.catch_errors(command.revision)(configuration, message, **place | chosen)


def _known(feature: str | None) -> str | None:
    known = branches.folders()
    if feature is None or feature in known:
        return feature
    raise click.UsageError(
        f"FEATURES names no feature {feature} that has migrations. "
        + (f"These have some: {', '.join(sorted(known))}." if known else "None has any.")
    )


@with_appcontext
def downgrade(*, revision: str, **given: Any) -> None:
    """Go back to an earlier revision. One step back is ambiguous where there are branches."""
    if branches.folders() and revision.startswith("-"):
        name = min(branches.folders())
        raise click.UsageError(
            "There are several branches. Name the revision to go back to: "
            f"flask db downgrade {name}@-1 takes back the last migration of the feature {name}, "
            f"{name}@base all of them, and a revision of the core also those that depend on what "
            "came after it."
        )
    if revision.startswith(f"{branches.CORE}@"):
        raise click.UsageError(
            "The branch of the core has no name in flask db downgrade. Name the revision to go "
            "back to; flask db history lists them."
        )
    callback = theirs.commands["downgrade"].callback
    callback(revision=revision, **given)


class MigrationCommand(LoggedCommand):
    """A command of Flask-Migrate. Alembic answers odd folders and revisions with tracebacks."""

    def invoke(self, ctx: click.Context) -> Any:
        of_the_group = ctx.parent.params if ctx.parent else {}
        directory = ctx.params.get("directory") or of_the_group.get("directory")
        if directory is not None and self.name != "list-templates":
            _refuse_unless_migrations(directory, is_new=self.name == "init")
        named = [ctx.params.get(name) for name in ("revision", "head", "rev_range")]
        for revision in (*named, *ctx.params.get("revisions", ())):
            if revision == "" or (revision or "").count(":") > 1:
                raise click.UsageError(
                    f"{revision!r} is not a revision. Write one like 0016, head or base; "
                    "flask db history lists them."
                )
        return super().invoke(ctx)


def _refuse_unless_migrations(directory: str, *, is_new: bool) -> None:
    # Alembic would read a : as part of the name of a package, and a % as that of a variable.
    if ":" in directory or "%" in directory:
        raise click.UsageError(f"{directory}: the name of the folder must have no : and no %.")
    if not is_new and not (Path(directory) / "env.py").is_file():
        raise click.UsageError(f"{directory} is not a folder of migrations: it has no env.py.")


REPLACED: dict[str, Callable[..., None]] = {
    "migrate": write,
    "revision": write,
    "downgrade": downgrade,
}
ADDED = {"migrate": [FEATURE], "revision": [FEATURE]}
# Flask-Migrate means the only head here, and fails where there are several.
ALL_HEADS = ("upgrade", "stamp", "show")
HELP = {"upgrade": "Upgrade to a later version. Without REVISION, all branches to their newest."}
# What its help shows, after `flask db`. Without an entry it is the command alone.
EXAMPLES = {
    "downgrade": "downgrade 0016",
    "edit": "edit head",
    "history": "history --indicate-current",
    "init": "init --directory other-migrations",
    "merge": "merge heads -m 'Two branches become one'",
    "migrate": "migrate --feature notes -m 'The table of the notes'",
    "revision": "revision --feature notes -m 'Fill the new column'",
    "show": "show head",
    "stamp": "stamp heads",
}


def _parameters(name: str) -> list[click.Parameter]:
    parameters: list[click.Parameter] = [*theirs.commands[name].params, *ADDED.get(name, [])]
    return [
        _meaning_all(each) if name in ALL_HEADS and each.name == "revision" else each
        for each in parameters
    ]


def _meaning_all(argument: click.Parameter) -> click.Parameter:
    changed = copy.copy(argument)
    changed.default = "heads"
    return changed


def _help(name: str) -> str:
    words = HELP.get(name, theirs.commands[name].help)
    return f"{words}\n\n\b\n    flask db {EXAMPLES.get(name, name)}"


@with_appcontext
def begin(**given: Any) -> None:
    """Give the application Flask-Migrate, if it was made for a command and lacks it."""
    if "migrate" not in current_app.extensions:
        migrating.init_app(click.get_current_context().ensure_object(ScriptInfo).load_app())
    theirs.callback(**given)


migrations = OperatorGroup("db", help=theirs.help, params=theirs.params, callback=begin)
for _name, _command in theirs.commands.items():
    migrations.add_command(
        # The log says which migrations ran.
        MigrationCommand(
            _name,
            help=_help(_name),
            params=_parameters(_name),
            callback=REPLACED.get(_name, _command.callback),
        )
    )
