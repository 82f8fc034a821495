"""The checks of ``flask doctor``: each is a function, with a weight and a cure.

A check takes the settings. It returns a sentence that says what is wrong, or
``None``. All checks measure against production, whatever ``APP_ENV`` says.
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
    """One thing to look at. If a check that ``stops`` finds something, no later check runs."""

    name: str
    weight: Weight
    cure: str
    test: Test
    stops: bool


@dataclass(frozen=True)
class Finding:
    """The result of a check that found something: the reason, and the cure."""

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
    """The checks of the module, in the order in which it declares them."""
    return _REGISTERED[module.__name__]
