"""Every form of the server is sent as another site would send it, and changes nothing.

The forms come from the scenes, as people fill them in. The routes come from the
map of the URLs, so that a form that no scene sends fails here.
"""

from typing import Any

import pytest
from flask import Blueprint, Flask
from sqlalchemy import delete, text

from app.access import csrf
from app.extensions import db
from app.http.blueprint import is_documented
from app.models import User
from tests.auth.providers.acme import offered
from tests.pages.person import SITE, Page, Person
from tests.pages.scenes import SCENES
from tests.pages.scenes.visit import Visit

# One statement tells whether a table has changed.
pytestmark = pytest.mark.postgresql

GOOD = {"Sec-Fetch-Site": "same-origin", "Origin": "http://localhost:8000"}
# What a browser says about the page that sends the form.
SENDERS = {
    "cross-site": {"Sec-Fetch-Site": "cross-site", "Origin": "https://evil.example"},
    "same-site": {"Sec-Fetch-Site": "same-site", "Origin": "http://evil.localhost:8000"},
    "null": {"Origin": "null"},
    "no headers": {},
}


def unsafe_routes(app: Flask) -> set[str]:
    """The forms: everything that may change something, and is not a call of the API."""
    return {
        f"{method} {rule.rule}"
        for rule in app.url_map.iter_rules()
        for method in (rule.methods or set()) - csrf.SAFE_METHODS
        if not is_documented(app.blueprints.get(rule.endpoint.rpartition(".")[0]))
    }


def everything(app: Flask) -> list[Any]:
    """A fingerprint of each table."""
    of_tables = [
        f"SELECT '{table}', md5(string_agg(t::text, '' ORDER BY t::text)) FROM {table} t"
        for table in db.metadata.tables
    ]
    with app.app_context():
        return list(db.session.execute(text(" UNION ALL ".join(of_tables))).all())


def attack(app: Flask, person: Person, path: str, fields: dict[str, str], token: str) -> None:
    """Send a form in each wrong way. ``token`` is that of another account."""
    without = {name: value for name, value in fields.items() if name != csrf.FIELD}
    ways = {sender: (headers, fields) for sender, headers in SENDERS.items()}
    ways["no token"] = (GOOD, without)
    ways["token of another account"] = (GOOD, without | {csrf.FIELD: token})
    before = everything(app)
    said = person.client.environ_base.pop("HTTP_SEC_FETCH_SITE")
    for way, (headers, sent) in ways.items():
        answer = person.client.post(path, data=sent, headers=headers, base_url=SITE)
        assert answer.status_code == 403, (path, way)
        assert "csrf_failed" in answer.text, (path, way)
        assert "Set-Cookie" not in answer.headers, (path, way)
    person.client.environ_base["HTTP_SEC_FETCH_SITE"] = said
    assert everything(app) == before, path


class AttackedVisit(Visit):
    """Before each form that the person sends, another site sends the same."""

    def __init__(self, app: Flask, token: str) -> None:
        super().__init__(app)
        self.token = token

    def send(self, action: str | None = None, *, press: str | None = None, **typed: Any) -> None:
        form = self.page.form(action)
        attack(self.app, self.person, form.action, form.fields | typed, self.token)
        super().send(action, press=press, **typed)

    def download(self, action: str) -> None:
        attack(self.app, self.person, action, self.page.form(action).fields, self.token)
        super().download(action)


@pytest.fixture
def token_of_bob(app: Flask, bob: User) -> str:
    person = Person(app)
    page = person.log_in(bob)
    return page.forms[0].fields[csrf.FIELD]


def test_no_form_takes_what_another_site_sends(app: Flask, token_of_bob: str) -> None:
    used: set[str] = set()
    for scene in SCENES.values():
        visit = AttackedVisit(app, token_of_bob)
        for _ in scene(visit):
            pass
        used |= visit.used

    assert unsafe_routes(app) - used == set()


def test_one_form_takes_what_another_site_sends_and_changes_nothing(app: Flask) -> None:
    """The answer of a provider. The browser sends it without cookies of ours."""
    open_to_all = {
        rule.rule
        for rule in app.url_map.iter_rules()
        if getattr(app.view_functions[rule.endpoint], csrf._MARK, False)
    }
    assert open_to_all == {"/account/with/<name>/callback"}
    with offered(app, answers_by_form=True):
        before = everything(app)

        answer = app.test_client().post(
            "/account/with/acme/callback",
            data={"state": "s", "code": "c"},
            headers=SENDERS["cross-site"],
            base_url=SITE,
        )

        assert answer.status_code == 200
        assert "Set-Cookie" not in answer.headers
        assert everything(app) == before


@pytest.fixture
def made_up(new_app: Any) -> Flask:
    """An application with a form that somebody wrote in plain Flask."""
    blueprint = Blueprint("made_up", __name__)

    @blueprint.post("/made-up")
    def remove_everybody() -> str:
        db.session.execute(delete(User))
        db.session.commit()
        return "done"

    app: Flask = new_app()
    app.register_blueprint(blueprint)
    return app


def test_a_form_of_plain_flask_is_guarded_too(made_up: Flask, ada: User, token_of_bob: str) -> None:
    person = Person(made_up)
    fields = person.log_in(ada).forms[0].fields
    assert "POST /made-up" in unsafe_routes(made_up)

    attack(made_up, person, "/made-up", fields, token_of_bob)

    assert Page(person.ask("POST", "/made-up", data=fields)).html == "done"


def test_this_file_notices_a_form_without_a_guard(
    made_up: Flask, ada: User, token_of_bob: str
) -> None:
    person = Person(made_up)
    fields = person.log_in(ada).forms[0].fields
    guards = made_up.before_request_funcs[None]
    guards.remove(csrf._guard_form)

    with pytest.raises(AssertionError, match="cross-site"):
        attack(made_up, person, "/made-up", fields, token_of_bob)
