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


class Reason(str):
    """A sentence that says what is wrong, in English, and how to say it in another language.

    ``sentence`` may have places like ``%(number)s`` for the values.
    """

    sentence: str
    values: dict[str, object]

    def __new__(cls, sentence: str, **values: object) -> "Reason":
        reason = super().__new__(cls, sentence % values if values else sentence)
        reason.sentence, reason.values = sentence, values
        return reason


Test = Callable[[Settings], str | None]


@dataclass(frozen=True)
class Check:
    """One thing to look at. If a check that ``stops`` finds something, no later check runs."""

    name: str
    weight: Weight
    remedy: str
    test: Test
    stops: bool = False
    # It may read large tables. Only the shell runs it, and no page.
    is_slow: bool = False


@dataclass(frozen=True)
class Finding:
    """The result of a check that found something: the reason, and the remedy."""

    check: str
    weight: Weight
    # A ``Reason`` where it can be said in another language.
    reason: str
    remedy: str


@dataclass(frozen=True)
class Glance:
    """What the quick checks found, and the names of those that did not run."""

    findings: tuple[Finding, ...]
    left_out: tuple[str, ...]


def check(weight: Weight, remedy: str, *, slow: bool = False) -> Callable[[Test], Check]:
    """Make a check of a function, for the ``checks`` of a feature.

    The function takes the settings. It returns a sentence that says what is
    wrong, or ``None``. If it may read large tables, it is ``slow``.
    """

    def make(test: Test) -> Check:
        return Check(test.__name__, weight, remedy, test, is_slow=slow)

    return make
