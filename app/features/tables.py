"""What is wrong with the tables of a feature: they stop the start."""

from collections.abc import Iterator, Sequence

from sqlalchemy import ForeignKeyConstraint, Table

from app.extensions import Base
from app.features.feature import Feature
from app.models import User

# With these the database itself deletes the row, or makes it nobody's.
CLEANS = ("CASCADE", "SET NULL", "SET DEFAULT")


def flaws(feature: Feature, features: Sequence[Feature], *, is_ours: bool) -> Iterator[str]:
    """A sentence for each flaw. ``is_ours`` says that the feature is of this tree."""
    tables = _tables_of(feature)
    if not is_ours:
        yield from _flaws_of_names(feature, features)
        if tables and feature.migrations is None:
            yield (
                f"The feature {feature.name} has tables and no migrations. Name the folder with "
                "its branch of the migrations in migrations=…."
            )
    personal = [table for table in tables if _refers_to_users(table)]
    if personal and not feature.exported:
        yield (
            f"The feature {feature.name} stores data about users in {_names(personal)}, and "
            "exports nothing. Add exported=…, so that people can download their data."
        )
    uncleaned = [table for table in personal if not _is_cleaned(table)]
    if uncleaned and feature.erased is None:
        yield (
            f"The feature {feature.name} keeps data of erased users in {_names(uncleaned)}. Give "
            "the foreign keys ON DELETE CASCADE or SET NULL, or add erased=…."
        )


def _tables_of(feature: Feature) -> list[Table]:
    return [Base.metadata.tables[str(model.__table__)] for model in feature.models]


def _flaws_of_names(feature: Feature, features: Sequence[Feature]) -> Iterator[str]:
    for table in _tables_of(feature):
        if not _belongs(table.name, feature):
            yield (
                f"The feature {feature.name} has the table {table.name}. Its tables must be called "
                f"{feature.name} or {feature.name}_…."
            )
    listed = [table for other in features for table in _tables_of(other)]
    forgotten = [
        table
        for table in Base.metadata.tables.values()
        if _belongs(table.name, feature) and table not in listed
    ]
    if forgotten:
        yield (
            f"The feature {feature.name} has no model of {_names(forgotten)} in its models, and "
            "these names begin with its name. Add the models, or give the feature another name."
        )


def _belongs(name: str, feature: Feature) -> bool:
    return name == feature.name or name.startswith(f"{feature.name}_")


def _refers_to_users(table: Table) -> bool:
    """Whether a row belongs to a user, if only through rows of other tables."""
    seen: set[Table] = set()
    waiting = [table]
    while waiting:
        for key in waiting.pop().foreign_key_constraints:
            if key.referred_table is User.__table__:
                return True
            if key.referred_table not in seen:
                seen.add(key.referred_table)
                waiting.append(key.referred_table)
    return False


def _is_cleaned(table: Table) -> bool:
    return all(
        _ends_with_its_user(key)
        for key in table.foreign_key_constraints
        if key.referred_table is User.__table__ or _refers_to_users(key.referred_table)
    )


def _ends_with_its_user(key: ForeignKeyConstraint) -> bool:
    return (key.ondelete or "").upper() in CLEANS


def _names(tables: Sequence[Table]) -> str:
    return ", ".join(sorted(table.name for table in tables))
