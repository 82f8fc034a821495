"""The checks of ``flask doctor``: each is a function, with a weight and a remedy.

A check takes the settings. It returns a sentence that says what is wrong, or
``None``. All checks measure against production, whatever ``APP_ENV`` says.
"""

from collections.abc import Callable
from types import ModuleType

from app.features.checks import Check, Test, Weight

_REGISTERED: dict[str, list[Check]] = {}


def checks(
    weight: Weight, remedy: str, *, stops: bool = False, slow: bool = False
) -> Callable[[Test], Test]:
    """Add a function to the checks of its module."""

    def register(test: Test) -> Test:
        check = Check(test.__name__, weight, remedy, test, stops, slow)
        _REGISTERED.setdefault(test.__module__, []).append(check)
        return test

    return register


def of(module: ModuleType) -> list[Check]:
    """The checks of the module, in the order in which it declares them."""
    return _REGISTERED[module.__name__]
