"""How well this deployment is protected: each check a function, and why, and what to do about it.

``flask doctor`` prints what they find. A check takes the settings and says in
a sentence what is wrong, or nothing. All are held against what production
should be, whatever ``APP_ENV`` says.
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from types import ModuleType

from config import Settings


class Weight(StrEnum):
    """How bad it is. The first makes ``flask doctor`` fail."""

    DANGEROUS = "dangerous"
    WEAK = "weak"
    GOOD_TO_KNOW = "good to know"


Test = Callable[[Settings], str | None]


@dataclass(frozen=True)
class Check:
    """One thing to look at. Where one that ``stops`` finds something, no later one is asked."""

    name: str
    weight: Weight
    cure: str
    test: Test
    stops: bool


@dataclass(frozen=True)
class Finding:
    """What a check found: the reason, and the cure."""

    check: str
    weight: Weight
    reason: str
    cure: str


_REGISTERED: dict[str, list[Check]] = {}


def checks(weight: Weight, cure: str, *, stops: bool = False) -> Callable[[Test], Test]:
    """Add a function to the checks of its module."""

    def register(test: Test) -> Test:
        check = Check(test.__name__, weight, cure, test, stops)
        _REGISTERED.setdefault(test.__module__, []).append(check)
        return test

    return register


def of(module: ModuleType) -> list[Check]:
    """The checks that the module has, from its top to its end."""
    return _REGISTERED[module.__name__]
