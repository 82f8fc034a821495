"""The pages, as somebody at a browser uses them."""

import html
import re

import pytest
from flask import Flask
from screenplays import library, pages

from app.testing import Browser, MakeUser


@pytest.fixture
def people(app: Flask, make_user: MakeUser) -> dict[str, Browser]:
    for name in ("ada", "bob", "eve"):
        make_user(name, locale="zh" if name == "eve" else "en")
    return {name: Browser(app, name) for name in ("ada", "bob", "eve")}


def begin(author: Browser, text: str = "INT. RIVER - NIGHT\r\n\r\nA fish.") -> str:
    page = author.send(
        "/screenplays/new", "/screenplays/new", title="Big Fish", logline="", text=text
    )
    assert page.status_code == 303, page.text[:2000]
    return page.headers["Location"].removesuffix("/edit")


def share(owner: Browser, one: str, name: str, guest: Browser, role: str) -> None:
    sent = owner.send(f"{one}/people", f"{one}/people", name=name, role=role)
    assert sent.status_code == 303, sent.text
    accept = re.search(
        r'action="(/screenplays/invitations/\d+/accept)"', guest.open("/screenplays").text
    )
    assert accept
    assert guest.send("/screenplays", accept[1]).headers["Location"] == one


def test_a_screenplay_is_begun_read_and_found(people: dict[str, Browser]) -> None:
    ada = people["ada"]
    one = begin(ada)

    editor, read, listed = ada.open(f"{one}/edit"), ada.open(one), ada.open("/screenplays?q=fish")
    # What no form sends: a NUL, and a text that is too long.
    odd = [ada.open(f"/screenplays?q={text}").status_code for text in ("%00", "x" * 201)]

    assert '<a href="#scene-1">INT. RIVER - NIGHT</a>' in editor.text
    assert '<h2 id="scene-1">' in read.text
    assert f'href="{one}"' in listed.text
    assert odd == [200, 200]
    styles = re.search(r'href="(/screenplays/\w+\.css)"', read.text)
    assert styles
    assert ada.open(styles[1]).content_type == "text/css; charset=utf-8"


def test_a_conflict_is_a_choice_and_loses_nothing(people: dict[str, Browser]) -> None:
    ada, bob = people["ada"], people["bob"]
    one = begin(ada)
    share(ada, one, "bob", bob, "editor")
    edit, form = f"{one}/edit", {"title": "Big Fish", "logline": "", "version": "1"}

    first = ada.send(edit, edit, **form, text="Ada's.")
    second = bob.send(edit, edit, **form, text="Bob's <b>.")
    over = bob.send(edit, edit, **form | {"version": "2"}, text="Bob's.")

    assert (first.status_code, second.status_code, over.status_code) == (303, 422, 303)
    asked = 'id="conflict" class="refusal" role="alert">'
    assert asked in second.text
    assert asked not in bob.open(edit).text
    assert "Bob&#39;s &lt;b&gt;.</textarea>" in second.text
    assert 'name="version" value="2"' in second.text
    assert bob.open(f"{one}/versions").text.count("/restore") == 2
    assert "Ada&#39;s." in bob.open(f"{one}/versions/2").text
    restored = bob.send(f"{one}/versions", f"{one}/versions/2/restore")
    assert restored.status_code == 303
    assert "Ada&#39;s.</textarea>" in bob.open(edit).text


def test_a_form_takes_a_text_as_long_as_a_film(people: dict[str, Browser]) -> None:
    text = "山" * library.MAX_TEXT

    one = begin(people["ada"], text)

    # pytest would take minutes to show how two such texts differ.
    is_kept = text in people["ada"].open(f"{one}/edit").text
    assert is_kept


def test_pages_are_for_those_with_whom_it_is_shared(app: Flask, people: dict[str, Browser]) -> None:
    ada, bob, eve = (people[name] for name in ("ada", "bob", "eve"))
    one = begin(ada)
    share(ada, one, "bob", bob, "reader")
    form = {"title": "Mine", "logline": "", "text": "", "version": "1"}
    forms: dict[str, dict[str, str]] = {
        f"{one}/edit": form,
        f"{one}/versions/1/restore": {},
        f"{one}/people": {"name": "eve", "role": "editor"},
        f"{one}/people/999/role": {"role": "editor"},
        f"{one}/people/999/remove": {},
        f"{one}/delete": {},
    }

    opened = {
        name: [
            one_.open(f"{one}{page}").status_code
            for page in ("", "/edit", "/versions", "/versions/1", "/people")
        ]
        for name, one_ in people.items()
    }
    sent = {
        name: [
            who.send("/screenplays/new", path, **data).status_code for path, data in forms.items()
        ]
        for name, who in (("bob", bob), ("eve", eve))
    }
    nobody = Browser(app, None).open(one)

    assert opened == {
        "ada": [200, 200, 200, 200, 200],
        "bob": [200, 403, 200, 200, 200],
        "eve": [404, 404, 404, 404, 404],
    }
    assert sent == {"bob": [403] * 6, "eve": [404] * 6}
    assert (nobody.status_code, nobody.headers["Location"]) == (
        303,
        f"/account/login?next={one.replace('/', '%2F')}",
    )


def test_the_owner_makes_an_editor_of_a_reader(people: dict[str, Browser]) -> None:
    ada, bob = people["ada"], people["bob"]
    one = begin(ada)
    share(ada, one, "bob", bob, "reader")
    action = re.search(r'action="(\S+/role)"', ada.open(f"{one}/people").text)
    assert action

    given = ada.send(f"{one}/people", action[1], role="editor")

    assert given.headers["Location"] == f"{one}/people"
    assert bob.open(f"{one}/edit").status_code == 200


def test_versions_have_pages(people: dict[str, Browser], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pages, "ON_A_PAGE", 1)
    ada = people["ada"]
    one = begin(ada)
    ada.send(f"{one}/edit", f"{one}/edit", title="Big Fish", logline="", text="Two.", version="1")

    first = ada.open(f"{one}/versions").text
    more = re.search(r'rel="next" href="([^"]+)"', first)
    assert more
    second = ada.open(html.unescape(more[1])).text

    assert [f'{one}/versions/{number}">' in first for number in (2, 1)] == [True, False]
    assert [f'{one}/versions/{number}">' in second for number in (2, 1)] == [False, True]
    assert ada.open(f"{one}/versions?cursor=old").status_code == 200


def test_pages_and_mails_are_in_two_languages(people: dict[str, Browser]) -> None:
    eve = people["eve"]
    one = begin(eve)

    for path in ("/screenplays", "/screenplays/new", one, f"{one}/edit", f"{one}/people"):
        shown = re.sub(r"<[^>]+>", " ", eve.open(path).text.partition("<main")[2])
        for english in ("Screenplay", "Title", "Logline", "Owner", "Invite", "Scenes", "Save"):
            assert english not in shown, (path, english)


def test_what_is_refused_is_said_at_its_field(people: dict[str, Browser]) -> None:
    ada = people["ada"]
    one = begin(ada)

    untitled = ada.send(f"{one}/edit", f"{one}/edit", title="", logline="", text="a", version="1")
    herself = ada.send(f"{one}/people", f"{one}/people", name="ada", role="editor")

    assert untitled.status_code == herself.status_code == 422
    assert 'id="title-error"' in untitled.text
    assert "This person is on the list already." in herself.text
