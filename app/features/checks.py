"""What a check of ``flask doctor`` is. The doctor has its own, and a feature may bring others."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

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
    remedy: str
    test: Test
    stops: bool = False


def check(weight: Weight, remedy: str) -> Callable[[Test], Check]:
    """Make a check of a function, for the ``checks`` of a feature.

    The function takes the settings. It returns a sentence that says what is
    wrong, or ``None``.
    """

    def make(test: Test) -> Check:
        return Check(test.__name__, weight, remedy, test)

    return make
