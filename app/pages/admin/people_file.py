"""The columns of the file of people, as the list of the API names them."""

from collections.abc import Iterable, Iterator

from app.http.fields import as_rfc_3339
from app.models import User

COLUMNS = (
    *("id", "username", "email", "full_name", "is_active", "is_superuser"),
    *("email_verified", "second_step", "created_at", "deletion_due_at"),
)


def rows(people: Iterable[User]) -> Iterator[tuple[str, ...]]:
    """The names of the columns, and then one row for each account."""
    yield COLUMNS
    for person in people:
        yield (
            str(person.id),
            person.username,
            person.email,
            person.full_name or "",
            _flag(person.is_active),
            _flag(person.is_superuser),
            _flag(person.email_verified),
            _flag(person.second_step_at is not None),
            as_rfc_3339(person.created_at) or "",
            as_rfc_3339(person.deletion_due_at) or "",
        )


def _flag(value: bool) -> str:
    return "true" if value else "false"
