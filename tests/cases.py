"""Many cases of one rule in one test, for cases that leave nothing behind.

``@each`` is written like ``pytest.mark.parametrize``. That one makes a test of
each case, with an empty database, people and logins of its own, which takes
longer than the case itself. A refusal changes nothing, so the next case may
follow on the same database.
"""

import inspect
from collections.abc import Callable, Iterable
from functools import wraps
from typing import Any


def each(
    names: str | tuple[str, ...], cases: Iterable[Any], ids: Any = None
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Call the test once for each case. All cases are tried, and the failure names the bad ones."""
    listed = names.replace(" ", "").split(",") if isinstance(names, str) else list(names)
    rows = [_values(case, len(listed)) for case in cases]
    assert rows, "no case"

    def decorate(test: Callable[..., None]) -> Callable[..., None]:
        @wraps(test)
        def every_case(**fixtures: Any) -> None:
            failures = []
            for row in rows:
                given = dict(zip(listed, row, strict=True))
                try:
                    test(**fixtures, **given)
                except Exception as failure:
                    failure.add_note(f"with {_shortly(given)}")
                    failures.append(failure)
            if len(failures) == 1:
                raise failures[0]
            if failures:
                raise ExceptionGroup(f"{len(failures)} of {len(rows)} cases failed", failures)

        wanted = inspect.signature(test)
        every_case.__signature__ = wanted.replace(  # type: ignore[attr-defined]
            parameters=[one for name, one in wanted.parameters.items() if name not in listed]
        )
        return every_case

    return decorate


def _values(case: Any, number: int) -> tuple[Any, ...]:
    return tuple(case) if number > 1 else (case,)


def _shortly(given: dict[str, Any]) -> str:
    return ", ".join(f"{name}={ascii(value)[:200]}" for name, value in given.items())
