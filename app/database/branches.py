"""The branches of the history of migrations: the core's, and one for each feature with own tables.

A feature's branch has the feature's name as its label, its files are in the
feature's folder, and the names of its tables and revisions begin with the
feature's name. So a table or a revision shows whose it is, also where the
feature's code is not loaded.
"""

import warnings
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flask import Flask, current_app

from config import ROOT, SettingsRefused

if TYPE_CHECKING:
    from alembic.script import Script, ScriptDirectory

# The folder of the core's migrations.
MIGRATIONS = ROOT / "migrations"
# What stands for the core among the names of the branches.
CORE = "core"
# The column of Alembic's own table has this length.
MAX_REVISION_LENGTH = 32


@dataclass(frozen=True)
class History:
    """The revisions that this code came with."""

    # For each branch, its newest revisions. There are several only after a mistake.
    heads: dict[str, frozenset[str]]
    # For each revision, its branch, and the revisions that must be applied before it.
    branches: dict[str, str]
    before: dict[str, frozenset[str]]

    def applied_with(self, found: Iterable[str]) -> set[str]:
        """These revisions and all that came before them.

        Alembic's table does not have a revision on which another one in the
        table depends: a feature's row may stand for the core's as well.
        """
        applied: set[str] = set()
        waiting = [revision for revision in found if revision in self.branches]
        while waiting:
            revision = waiting.pop()
            if revision not in applied:
                applied.add(revision)
                waiting.extend(self.before[revision])
        return applied


def init_app(app: Flask, folders: Mapping[str, Path]) -> None:
    """Name the features that have own tables, each with the folder of its migrations."""
    app.extensions["migration_branches"] = dict(folders)


def folders() -> dict[str, Path]:
    """The folders of the features' migrations, by the feature's name."""
    found: dict[str, Path] = current_app.extensions.get("migration_branches", {})
    return found


def places() -> list[Path]:
    """The folders of all migrations: the core's, and those of the features."""
    return [_core_folder(), *folders().values()]


def _core_folder() -> Path:
    return MIGRATIONS / "versions"


def history() -> History:
    """Read the migrations. Raises ``SettingsRefused`` if they do not fit together."""
    return _read(_core_folder(), tuple(folders().items()))


@cache
def _read(core: Path, others: tuple[tuple[str, Path], ...]) -> History:
    scripts, revisions = _load()
    if flaws := _flaws(revisions, dict(others)):
        raise SettingsRefused(*flaws)
    of = {Path(folder).resolve(): name for name, folder in others} | {core.resolve(): CORE}
    branches = {script.revision: of[Path(script.path).parent] for script in revisions}
    heads: dict[str, set[str]] = defaultdict(set)
    for head in scripts.get_heads():
        heads[branches[head]].add(head)
    return History(
        heads={name: frozenset(found) for name, found in heads.items()},
        branches=branches,
        before={script.revision: _before(scripts, script) for script in revisions},
    )


def _load() -> "tuple[ScriptDirectory, list[Script]]":
    # Alembic takes a command longer than the whole of Flask, and few commands ask for the history.
    from alembic.script import ScriptDirectory
    from alembic.util import CommandError

    scripts = ScriptDirectory(str(MIGRATIONS), version_locations=[str(each) for each in places()])
    try:
        with warnings.catch_warnings():
            # Alembic only warns of a revision that exists twice, and then forgets one of them.
            warnings.simplefilter("error")
            return scripts, list(scripts.walk_revisions())
    # Alembic raises KeyError for a dependency that does not exist.
    except (CommandError, UserWarning, KeyError) as error:
        raise SettingsRefused(f"the migrations do not fit together: {error}") from None


def _before(scripts: "ScriptDirectory", script: "Script") -> frozenset[str]:
    # A dependency may be the label of a branch.
    needed = (*_as_tuple(script.down_revision), *_as_tuple(script.dependencies))
    return frozenset(each.revision for each in scripts.get_revisions(needed))


def _as_tuple(names: Any) -> tuple[str, ...]:
    return (names,) if isinstance(names, str) else tuple(names or ())


def _flaws(revisions: "list[Script]", others: Mapping[str, Path]) -> list[str]:
    flaws = []
    for name, folder in others.items():
        if not folder.is_dir():
            flaws.append(
                f"the feature {name} has its migrations in {folder}, and there is no such folder. "
                "Does its package contain the folder?"
            )
        for script in revisions:
            if Path(script.path).parent == folder.resolve():
                flaws.extend(_flaws_of(script, name))
    return flaws


def _flaws_of(script: "Script", feature: str) -> Iterator[str]:
    revision = script.revision
    if not revision.startswith(f"{feature}_") or len(revision) > MAX_REVISION_LENGTH:
        yield (
            f"the migration {script.path} has the revision {revision!r}. A revision of the feature "
            f"{feature} begins with '{feature}_' and has at most {MAX_REVISION_LENGTH} characters."
        )
    if feature not in script.branch_labels:
        yield (
            f"the migration {script.path} is not on the branch {feature}: the first migration of "
            f"the feature needs branch_labels = ('{feature}',)."
        )


# Which table is whose


def owner(table: str) -> str:
    """The branch to which a table belongs, by the beginning of its name."""
    fitting = [name for name in folders() if f"{table}_".startswith(f"{name}_")]
    return max(fitting, key=len, default=CORE)


def is_compared(table: str, *, has_model: bool, branch: str | None) -> bool:
    """Whether Alembic may compare this table with its model, and write what is missing.

    A table without a model stays as it is: it may belong to a feature that is
    not loaded here. ``branch`` limits the comparison to the tables of a branch.
    """
    return has_model and branch in (None, owner(table))


# The next migration


def next_migration(feature: str | None) -> dict[str, Any]:
    """Where the next migration of a feature, or of the core, belongs: options of Alembic."""
    if feature is None:
        (head,) = history().heads[CORE]
        return {"head": head, "version_path": _core_folder()}
    folder = folders()[feature]
    folder.mkdir(parents=True, exist_ok=True)
    known = history()
    number = sum(branch == feature for branch in known.branches.values()) + 1
    place: dict[str, Any] = {"version_path": folder, "rev_id": f"{feature}_{number:04}"}
    if feature in known.heads:
        return place | {"head": f"{feature}@head"}
    # The feature's tables refer to ours, as they are now.
    (needed,) = known.heads[CORE]
    return place | {"head": "base", "branch_label": feature, "depends_on": needed}
