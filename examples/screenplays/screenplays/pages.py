"""The pages under ``/screenplays``. They call the same functions as the API."""

import hashlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import marshmallow
from flask import Flask, Response, request, request_started

from app.access.guards import current_user, signed_in
from app.access.limits import MAIL, limited, limited_writes
from app.errors import PreconditionFailed, ValidationFailed
from app.http.fields import DisplayName, Line, Schema
from app.http.parameters import NumberParameter
from app.pages import notices
from app.pages.forms import EMPTY, Form, takes_form
from app.pages.page import Pages, go, render
from screenplays import access, fountain, layout, library, paper, people
from screenplays.errors import AlreadyInvited, TooManyPeople
from screenplays.routes import opened
from screenplays.schemas import NewPersonSchema, RoleSchema, ScreenplayText, SearchSchema

bp = Pages("screenplays", __name__)

ON_A_PAGE = 20
# A form writes a Chinese character as nine characters, and each line end as six.
MAX_FORM_BYTES = 4 * 1024 * 1024
STATIC = Path(__file__).parent / "static"
STYLES = layout.STYLES + (STATIC / "pages.css").read_text("utf-8")
SCRIPT = (STATIC / "editor.js").read_text("utf-8")


def path_of(content: str, ending: str) -> str:
    """The name changes with the content, so that browsers may keep it."""
    return f"/screenplays/{hashlib.sha256(content.encode()).hexdigest()[:16]}.{ending}"


STYLES_PATH, SCRIPT_PATH = path_of(STYLES, "css"), path_of(SCRIPT, "js")

# One instance for all requests: making one takes longer than using it.
SEARCH = SearchSchema()

SAVED = notices.declare("screenplay_saved", "Saved.")
RESTORED = notices.declare("screenplay_restored", "The earlier version is the newest one again.")
DELETED = notices.declare("screenplay_deleted", "The screenplay is deleted.")
INVITED = notices.declare("screenplay_invited", "The invitation is on its way.")
REMOVED = notices.declare("screenplay_person_removed", "This person is no longer on the list.")
ROLE_GIVEN = notices.declare("screenplay_role_given", "The role is changed.")
ACCEPTED = notices.declare("screenplay_accepted", "You are on this screenplay now.")
DECLINED = notices.declare("screenplay_declined", "You declined the invitation.")


class EditedSchema(Schema):
    title = Line(max_length=200, required=True)
    logline = DisplayName(max_length=500, allow_none=True, load_default=None)
    text = ScreenplayText(required=True)


class SavedSchema(EditedSchema):
    # The version that the author read. A script or a second window cannot save over another one.
    version = NumberParameter(least=1, most=2**31 - 1, required=True)


def init_app(app: Flask) -> None:
    request_started.connect(let_forms_be_long, app)


def let_forms_be_long(_: Flask, **__: Any) -> None:
    """Our own guard reads the form before any view runs, so this comes before that."""
    if request.blueprint == bp.name:
        request.max_content_length = request.max_form_memory_size = MAX_FORM_BYTES


def show(template: str, **context: Any) -> Response:
    return render(f"screenplays/{template}.html", styles=STYLES_PATH, script=SCRIPT_PATH, **context)


def show_list(form: Form) -> Response:
    sent = {name: request.args[name] for name in ("q", "cursor") if request.args.get(name)}
    try:
        SEARCH.load(sent)
    except marshmallow.ValidationError:
        # No form of ours sends this, such as a NUL, which no database can look for.
        sent = {}
    try:
        found = library.find(current_user(), limit=ON_A_PAGE, **sent)
    except ValidationFailed:
        # An old cursor: begin again.
        sent.pop("cursor", None)
        found = library.find(current_user(), limit=ON_A_PAGE, **sent)
    invitations = people.invitations(current_user())
    return show("list", form=form, found=found, sent=sent, invitations=invitations)


@bp.get("/screenplays")
@signed_in
def screenplays_page() -> Response:
    return show_list(EMPTY)


def show_new(form: Form) -> Response:
    return show("new", form=form)


@bp.get("/screenplays/new")
@signed_in
def new_screenplay_page() -> Response:
    return show_new(EMPTY)


@bp.post("/screenplays/new", refused=show_new)
@signed_in
@limited_writes
@takes_form(EditedSchema)
def begin_screenplay(given: dict[str, Any]) -> Response:
    made = library.write(current_user(), **_content(given))
    return go(f"/screenplays/{made.screenplay.id}/edit", SAVED)


@bp.get("/screenplays/<digits:screenplay_id>")
@signed_in
def screenplay_page(screenplay_id: int) -> Response:
    found = opened(screenplay_id)
    script = fountain.parse(found.screenplay.text)
    return show("read", opened=found, body=layout.body(script), pages=paper.pages(script))


def show_editor(form: Form, screenplay_id: int) -> Response:
    found = access.open_to_write(current_user(), screenplay_id)
    saved = found.screenplay
    in_conflict = form.code == PreconditionFailed.code
    if not form.is_refused and not form.values:
        names = ("title", "logline", "text", "version")
        form = replace(form, values={name: str(getattr(saved, name)) for name in names})
    elif in_conflict:
        # A person who presses the button again has read that somebody else saved.
        form = replace(form, values={**form.values, "version": str(saved.version)})
    script = fountain.parse(form.value("text"))
    return show(
        "edit",
        form=form,
        opened=found,
        scenes=layout.scenes(script),
        body=layout.body(script),
        in_conflict=in_conflict,
    )


@bp.get("/screenplays/<digits:screenplay_id>/edit")
@signed_in
def editor_page(screenplay_id: int) -> Response:
    return show_editor(EMPTY, screenplay_id)


@bp.post("/screenplays/<digits:screenplay_id>/edit", refused=show_editor)
@signed_in
@limited_writes
@takes_form(SavedSchema)
def save_in_editor(given: dict[str, Any], screenplay_id: int) -> Response:
    def refuse_unless_read(found: access.Opened) -> None:
        if found.screenplay.version != given["version"]:
            raise PreconditionFailed

    library.save(current_user(), screenplay_id, _content(given), refuse_unless_read)
    return go(f"/screenplays/{screenplay_id}/edit", SAVED)


@bp.get("/screenplays/<digits:screenplay_id>/versions")
@signed_in
def versions_page(screenplay_id: int) -> Response:
    found = opened(screenplay_id)
    try:
        cursor = request.args.get("cursor") or None
        versions = library.versions(screenplay_id, limit=ON_A_PAGE, cursor=cursor)
    except ValidationFailed:
        # An old cursor: begin again.
        versions = library.versions(screenplay_id, limit=ON_A_PAGE)
    return show("versions", opened=found, versions=versions)


@bp.get("/screenplays/<digits:screenplay_id>/versions/<digits:number>")
@signed_in
def version_page(screenplay_id: int, number: int) -> Response:
    found = opened(screenplay_id)
    version = library.version(screenplay_id, number)
    body = layout.body(fountain.parse(version.text))
    return show("version", opened=found, version=version, body=body)


@bp.post("/screenplays/<digits:screenplay_id>/versions/<digits:number>/restore")
@signed_in
@limited_writes
def restore_on_page(screenplay_id: int, number: int) -> Response:
    library.restore(current_user(), screenplay_id, number)
    return go(f"/screenplays/{screenplay_id}/edit", RESTORED)


def show_people(form: Form, screenplay_id: int) -> Response:
    found = opened(screenplay_id)
    return show("people", form=form, opened=found, people=people.listed(found))


@bp.get("/screenplays/<digits:screenplay_id>/people")
@signed_in
def people_page(screenplay_id: int) -> Response:
    return show_people(EMPTY, screenplay_id)


@bp.post(
    "/screenplays/<digits:screenplay_id>/people",
    refused=show_people,
    beside={AlreadyInvited: "name", TooManyPeople: "name"},
)
@signed_in
@limited(MAIL)
@takes_form(NewPersonSchema)
def invite_on_page(given: dict[str, Any], screenplay_id: int) -> Response:
    people.invite(current_user(), screenplay_id, **given)
    return go(f"/screenplays/{screenplay_id}/people", INVITED)


@bp.post("/screenplays/<digits:screenplay_id>/people/<digits:person_id>/role")
@signed_in
@limited_writes
@takes_form(RoleSchema)
def give_role_on_page(given: dict[str, Any], screenplay_id: int, person_id: int) -> Response:
    people.give_role(current_user(), screenplay_id, person_id, **given)
    return go(f"/screenplays/{screenplay_id}/people", ROLE_GIVEN)


@bp.post("/screenplays/<digits:screenplay_id>/people/<digits:person_id>/remove")
@signed_in
def remove_on_page(screenplay_id: int, person_id: int) -> Response:
    was_managed = access.open_for(current_user(), screenplay_id).may_manage
    people.remove(current_user(), screenplay_id, person_id)
    path = f"/screenplays/{screenplay_id}/people" if was_managed else "/screenplays"
    return go(path, REMOVED)


@bp.post("/screenplays/<digits:screenplay_id>/delete")
@signed_in
def delete_on_page(screenplay_id: int) -> Response:
    library.remove(current_user(), screenplay_id)
    return go("/screenplays", DELETED)


@bp.post("/screenplays/invitations/<digits:invitation_id>/accept")
@signed_in
def accept_on_page(invitation_id: int) -> Response:
    accepted = people.accept(current_user(), invitation_id)
    return go(f"/screenplays/{accepted.screenplay.id}", ACCEPTED)


@bp.post("/screenplays/invitations/<digits:invitation_id>/decline")
@signed_in
def decline_on_page(invitation_id: int) -> Response:
    people.decline(current_user(), invitation_id)
    return go("/screenplays", DECLINED)


@bp.get(STYLES_PATH)
def styles() -> Response:
    """The pages' Content-Security-Policy allows only files, so the styles are one."""
    return _kept(STYLES, "text/css")


@bp.get(SCRIPT_PATH)
def script() -> Response:
    """It lets the editor save by itself."""
    return _kept(SCRIPT, "text/javascript")


def _kept(content: str, kind: str) -> Response:
    headers = {"Cache-Control": "public, max-age=31536000, immutable"}
    return Response(content, mimetype=kind, headers=headers)


def _content(given: dict[str, Any]) -> dict[str, str]:
    return {"title": given["title"], "logline": given["logline"] or "", "text": given["text"]}
