"""The kinds of second proofs. Each has its own folder, which declares it here."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from app import features
from app.models import User


@dataclass(frozen=True)
class Method:
    """One kind of second proof.

    ``verify`` takes the user and the fields of the request. It compares the
    proof in the fields with what the user has, uses it up, and returns whether
    it is right. ``remove`` deletes what the user has of this kind, or only what
    was added since an instant, and returns how many factors that were. The
    caller has locked the user, and commits.
    """

    # As a refusal names it to clients.
    name: str
    # The field of a request that holds a proof of this kind.
    field: str
    # As tokens name it (RFC 8176).
    amr: str
    # Whether it may be somebody's only second factor.
    is_factor: bool
    is_there: Callable[[int], bool]
    verify: Callable[[User, Mapping[str, Any]], bool]
    remove: Callable[[int, datetime | None], int]
    # Its member of the shape ``Factors``, and the name of the feature that brings it.
    member: str
    describe: Callable[[int], Any]
    # What is made for a user who gets the first factor, and is shown once.
    on_first_factor: Callable[[int], list[str]] | None = None


_declared: dict[str, Method] = {}


def declare(method: Method) -> Method:
    """Make a kind of second proof known."""
    _declared[method.name] = method
    return method


def declared() -> Iterator[Method]:
    """Those whose feature is there: factors first, and what stands in for them last."""
    there = {feature.name for feature in features.active()}
    usable = [method for method in _declared.values() if method.member in there]
    yield from sorted(usable, key=lambda method: (not method.is_factor, method.name))


def usable_by(user_id: int) -> list[str]:
    """The names of the kinds of proofs that a user can give."""
    return [method.name for method in declared() if method.is_there(user_id)]


def has_factor(user_id: int, *, other_than: str | None = None) -> bool:
    """Whether the user has a second factor, apart from the kind ``other_than``."""
    return any(
        method.is_factor and method.name != other_than and method.is_there(user_id)
        for method in declared()
    )


def offered_in(fields: Mapping[str, Any]) -> Method | None:
    """The kind of proof that the fields of a request hold."""
    # A field of a form without a value counts as missing. An empty credential is a wrong one.
    missing = (None, "")
    return next((each for each in declared() if fields.get(each.field) not in missing), None)


def remove_all(user_id: int, added_since: datetime | None = None) -> int:
    """Delete what the user has of every kind. The caller holds the user, and commits."""
    return sum(method.remove(user_id, added_since) for method in declared())
