"""What was typed into a form comes back, but never makes the answer many times as long."""

from typing import Any

import pytest

from app.http.parsing import MAX_FIELDS
from app.pages.forms import MAX_RETURNED
from tests.pages.person import Page, Person

# A page writes each of them with five characters.
QUOTES = "'" * 20_000

# What is sent beside the text, and the status of the answer in which the form comes back.
WAYS_BACK: dict[str, tuple[dict[str, str], int]] = {
    "refused": ({}, 422),
    "in another language": ({"switch_language": "zh"}, 200),
    "reopened": ({"reopen": "true"}, 200),
    "too old": ({"csrf_token": "x.y"}, 403),
}


def sent(person: Person, path: str, **fields: Any) -> Page:
    """The answer to the form of the page with these fields, some of which it may not have."""
    data = person.open(path).form().fields | fields
    return Page(person.ask("POST", path, data=data))


@pytest.mark.parametrize("way", WAYS_BACK)
@pytest.mark.parametrize(("path", "name"), [("/account", "bio"), ("/account/keys/new", "networks")])
def test_the_texts_of_a_very_long_form_do_not_come_back(
    ada_at_home: Person, path: str, name: str, way: str
) -> None:
    beside, status = WAYS_BACK[way]

    page = sent(ada_at_home, path, **{name: QUOTES}, **beside)

    assert page.status == status
    assert len(page.html) < 16 * 1024


@pytest.mark.parametrize("way", WAYS_BACK)
def test_what_a_person_types_comes_back(ada_at_home: Person, way: str) -> None:
    beside, status = WAYS_BACK[way]
    # Three times as long as it may be. Another language is the only other field with a text.
    bio = "b" * (MAX_RETURNED - 1000)

    page = sent(ada_at_home, "/account", bio=bio, **beside)

    assert page.status == status
    assert page.form("/account").fields["bio"] == bio


@pytest.mark.parametrize("fields", [MAX_FIELDS + 1, 900])
def test_of_many_fields_none_comes_back(visitor: Person, fields: int) -> None:
    page = sent(
        visitor, "/account/register", csrf_token="x.y", **{f"f{n}": "'" for n in range(fields)}
    )

    assert page.status == 403
    assert len(page.html) < 4096
