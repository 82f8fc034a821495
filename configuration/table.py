"""Settings as a table: a frozen dataclass with one ``variable(...)`` for each setting.

``Settings`` in ``config.py`` is such a table. A feature, in this tree or in
another package, brings its own:

    from configuration.table import Reading, variable
    from configuration.values import boolean, integer

    @dataclass(frozen=True, kw_only=True)
    class NotesSettings:
        notes_per_user: int = variable("NOTES_PER_USER", "100", integer(1, 10_000))
        notes_public: bool = variable("NOTES_PUBLIC", "false", boolean)

        def check(self, reading: Reading) -> None:
            if self.notes_public and self.notes_per_user > 1000:
                reading.refuse("NOTES_PUBLIC", "is true, but … Write false, or …")

``Settings.from_environment(tables=…)`` reads it together with the core, so that
all refusals are printed at once; ``settings.of(NotesSettings)`` then returns
it. ``read_settings(NotesSettings, environment)`` reads one table alone, for a
test. Begin the names of the variables with the name of the feature: two tables
that have the same variable stop the start.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from types import SimpleNamespace
from typing import Any, Generic, TypeVar, cast

from configuration.refusals import SettingsRefused, Wrong

T = TypeVar("T")
Default = str | Callable[[Any], str]


@dataclass(frozen=True)
class Variable(Generic[T]):
    """An environment variable, the text that it has if it is not set, and its parser."""

    name: str
    default: Default
    parse: Callable[[str], T]


def variable(name: str, default: Default, parse: Callable[[str], T]) -> T:
    """A setting: the field of a table whose value comes from the variable ``name``.

    ``parse`` turns the text into the value, or raises ``Wrong``; then the
    start is refused. The default is parsed in the same way. It may be a
    function of the settings above this one in the table. A setting that must
    be set has a default that ``parse`` refuses, like ``""``.
    """
    return cast(T, field(metadata={"variable": Variable(name, default, parse)}))


def variables_of(table: type) -> dict[str, Variable[Any]]:
    """The variables of a table, by the names of its fields."""
    return {
        each.name: each.metadata["variable"]
        for each in fields(table)
        if "variable" in each.metadata
    }


class Reading:
    """Reads one table after the other, and collects the reasons not to start."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self.environment = environment
        self.reasons: list[str] = []
        self.warnings: dict[str, str] = {}
        # What ``read_one`` returned, by the variables.
        self.dynamic: dict[str, Any] = {}
        self._tables: dict[str, str] = {}

    @property
    def known(self) -> set[str]:
        """The variables of the tables that were read."""
        return set(self._tables)

    def read(self, table: type[T]) -> T:
        """The settings of one table. Use them only if ``finish`` then raises nothing."""
        values: dict[str, Any] = {}
        for name, one in variables_of(table).items():
            self._claim(one.name, f"{table.__module__}.{table.__qualname__}")
            values[name] = self._value(one, values)
        settings = table(**values)
        if hasattr(settings, "check") and not _has_gap(values):
            settings.check(self)
        return settings

    def read_one(self, owner: str, name: str, default: str, parse: Callable[[str], T]) -> T:
        """A setting that no table has, because another setting is a part of its name.

        ``parse`` must accept the default. Use the value only if ``finish`` then raises nothing.
        """
        self._claim(name, owner)
        self.dynamic[name] = value = self._value(Variable(name, default, parse), {})
        return cast(T, value)

    def is_set(self, name: str) -> bool:
        return bool(self.environment.get(name))

    def refuse(self, name: str, sentence: str) -> None:
        """Refuse the start. The sentence continues the name, and says what to write instead."""
        self.reasons.append(f"{name} {sentence}")

    def warn(self, name: str, sentence: str) -> None:
        """Start all the same, and warn. The sentence continues the name."""
        self.warnings[name] = f"`{name}` {sentence}"

    def is_refused(self, name: str) -> bool:
        return any(reason.startswith(f"{name} ") for reason in self.reasons)

    def finish(self) -> None:
        """Raise ``SettingsRefused`` with all reasons, if there are any."""
        if self.reasons:
            raise SettingsRefused(*self.reasons)

    def _claim(self, name: str, table: str) -> None:
        if name in self._tables:
            self.refuse(
                name,
                f"is a setting of {self._tables[name]} and of {table} too. "
                "Rename it in one of them.",
            )
        self._tables[name] = table

    def _value(self, one: Variable[Any], above: Mapping[str, Any]) -> Any:
        if isinstance(one.default, str):
            default = one.default
        elif _has_gap(above):
            return GAP
        else:
            default = one.default(SimpleNamespace(**above))
        given = self.environment.get(one.name, "")
        try:
            given.encode()
            return one.parse(given or default)
        except Wrong as wrong:
            self.refuse(one.name, str(wrong))
        except UnicodeEncodeError:
            self.refuse(one.name, "has bytes that are not UTF-8. Write it in UTF-8.")
        # The start is refused, but what depends on this setting is still read and may be refused.
        try:
            return one.parse(default)
        except Wrong:
            return GAP


# The value of a setting that was refused and has no default.
GAP = object()


def _has_gap(values: Mapping[str, Any]) -> bool:
    return any(value is GAP for value in values.values())


def read_settings(table: type[T], environment: Mapping[str, str]) -> T:
    """Read one table from the environment. Raises ``SettingsRefused`` with all reasons."""
    reading = Reading(environment)
    settings = reading.read(table)
    reading.finish()
    return settings
