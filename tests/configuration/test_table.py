"""A table of settings of one's own, as a feature brings one."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from config import Settings
from configuration.refusals import SettingsRefused, Wrong
from configuration.table import Reading, read_settings, variable
from configuration.values import boolean, integer, minutes


def _address(text: str) -> str:
    if not text.startswith("https://"):
        raise Wrong("is not an https URL. Write one like https://notes.example.com.")
    return text


@dataclass(frozen=True, kw_only=True)
class NotesSettings:
    shelves: int = variable("NOTES_SHELVES", "3", integer(1, 10))
    books: int = variable("NOTES_BOOKS", lambda above: str(above.shelves * 20), integer(1, 200))
    kept: timedelta = variable("NOTES_KEPT_MINUTES", "15", minutes)
    public: bool = variable("NOTES_PUBLIC", "false", boolean)

    def check(self, reading: Reading) -> None:
        if self.public and reading.is_set("NOTES_BOOKS"):
            reading.refuse("NOTES_PUBLIC", "is set together with NOTES_BOOKS. Remove one.")


@dataclass(frozen=True, kw_only=True)
class CatalogueSettings:
    """Its first setting has no default, and the second one depends on it."""

    address: str = variable("CATALOGUE_URL", "", _address)
    mirror: str = variable("CATALOGUE_MIRROR", lambda above: above.address + "/mirror", str)

    def check(self, reading: Reading) -> None:
        if self.mirror == self.address:
            reading.refuse("CATALOGUE_MIRROR", "is the address itself. Write another one.")


@dataclass(frozen=True, kw_only=True)
class TakenSettings:
    theirs: int = variable("NOTES_SHELVES", "1", integer(1, 9))
    port: int = variable("PORT", "1", integer(1, 9))


def refused(read: Callable[[], object]) -> list[str]:
    with pytest.raises(SettingsRefused) as refusal:
        read()
    return refusal.value.reasons


def test_a_table_has_its_defaults_and_one_may_depend_on_the_settings_above_it() -> None:
    assert read_settings(NotesSettings, {}) == NotesSettings(
        shelves=3, books=60, kept=timedelta(minutes=15), public=False
    )
    assert read_settings(NotesSettings, {"NOTES_SHELVES": "5"}).books == 100


def test_all_refusals_of_a_table_come_at_once_and_those_of_its_rules_last() -> None:
    reasons = refused(
        lambda: read_settings(
            NotesSettings, {"NOTES_SHELVES": "0", "NOTES_BOOKS": "1", "NOTES_PUBLIC": "true"}
        )
    )

    assert reasons == [
        "NOTES_SHELVES is 0, which is out of range. Write a number from 1 to 10.",
        "NOTES_PUBLIC is set together with NOTES_BOOKS. Remove one.",
    ]


@pytest.mark.parametrize("given", [{}, {"CATALOGUE_URL": ""}, {"CATALOGUE_URL": "http://c"}])
def test_a_setting_without_a_default_is_refused_once_and_no_rule_sees_it(
    given: dict[str, str],
) -> None:
    [reason] = refused(lambda: read_settings(CatalogueSettings, given))

    assert reason.startswith("CATALOGUE_URL is not an https URL. Write ")


def features(*tables: type) -> Callable[[Settings], tuple[type, ...]]:
    return lambda core: tables


def test_the_tables_of_features_are_read_with_the_core(tmp_path: Path) -> None:
    settings = Settings.from_environment(
        {"NOTES_SHELVES": "4"}, instance=tmp_path, tables=features(NotesSettings)
    )

    assert settings.of(NotesSettings).shelves == 4
    assert settings.of(NotesSettings).books == 80


def test_a_table_that_was_not_read_is_named(tmp_path: Path) -> None:
    settings = Settings.from_environment({}, instance=tmp_path, tables=features(NotesSettings))

    with pytest.raises(LookupError, match="CatalogueSettings was not read with these settings"):
        settings.of(CatalogueSettings)


def test_the_refusals_of_features_join_those_of_the_core(tmp_path: Path) -> None:
    reasons = refused(
        lambda: Settings.from_environment(
            {"PORT": "http", "NOTES_SHELVES": "11"},
            instance=tmp_path,
            tables=features(NotesSettings, CatalogueSettings),
        )
    )

    assert [reason.split()[0] for reason in reasons] == ["PORT", "NOTES_SHELVES", "CATALOGUE_URL"]
    assert not (tmp_path / "secret_key").exists()


def test_a_variable_belongs_to_one_table(tmp_path: Path) -> None:
    reasons = refused(
        lambda: Settings.from_environment(
            {}, instance=tmp_path, tables=features(NotesSettings, TakenSettings)
        )
    )

    here = "tests.configuration.test_table"
    assert reasons == [
        f"{name} is a setting of {owner} and of {here}.TakenSettings too. Rename it in one of them."
        for name, owner in (("NOTES_SHELVES", f"{here}.NotesSettings"), ("PORT", "config.Settings"))
    ]


def test_which_tables_are_read_may_depend_on_the_core(tmp_path: Path) -> None:
    def where_it_is_wanted(core: Settings) -> list[type]:
        return [NotesSettings] if core.port == 8231 else []

    def tables(**environment: str) -> Any:
        read = Settings.from_environment(environment, instance=tmp_path, tables=where_it_is_wanted)
        return read.tables

    assert set(tables(PORT="8231")) == {NotesSettings}
    assert tables() == {}
