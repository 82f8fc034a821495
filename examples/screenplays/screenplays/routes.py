"""The calls under ``/api/v1/screenplays``."""

from collections.abc import Callable
from functools import wraps
from typing import Any

from flask import Response, request, url_for

from app.access.guards import current_rights, current_user, permitted, signed_in
from app.access.idempotency import idempotent
from app.access.limits import MAIL, limited, limited_writes
from app.database.pages import Page
from app.errors import NotEnoughPermissions, NotFound
from app.http.blueprint import Blueprint, refuses
from app.http.entity_tags import conditional, expected
from app.http.parameters import PageQuerySchema
from screenplays import access, fountain, layout, library, paper, pdf, people
from screenplays.access import Opened
from screenplays.errors import (
    AlreadyInvited,
    IfMatchRequired,
    TooManyPages,
    TooManyPeople,
    TooManyScreenplays,
)
from screenplays.models import Person, Version
from screenplays.names import READ, READ_ALL, WRITE
from screenplays.schemas import (
    InvitationsSchema,
    NewPersonSchema,
    NewScreenplaySchema,
    PeopleSchema,
    PersonSchema,
    RoleSchema,
    SavedScreenplaySchema,
    ScenesSchema,
    ScreenplayPageSchema,
    ScreenplaySchema,
    SearchSchema,
    VersionPageSchema,
    WholeVersionSchema,
)

bp = Blueprint("screenplays", __name__, description="Screenplays, and the people who write them.")

# JSON may write a Chinese character as six bytes. Most clients write it as three.
MAX_BODY_BYTES = 2 * 1024 * 1024
LOCATION = {"Location": {"schema": {"type": "string"}}}


def takes_long_text(view: Callable[..., Any]) -> Callable[..., Any]:
    """Let the body be as long as a screenplay. Put it below the guard, so that it is the users'."""

    @wraps(view)
    def with_long_body(*args: Any, **kwargs: Any) -> Any:
        request.max_content_length = MAX_BODY_BYTES
        return view(*args, **kwargs)

    return with_long_body


def reads_all() -> bool:
    return current_rights().include(READ_ALL)


def opened(screenplay_id: int) -> Opened:
    return access.open_for(current_user(), screenplay_id, reads_all)


@bp.get("")
@signed_in(keys=READ)
@bp.takes_query(SearchSchema)
@bp.returns(200, ScreenplayPageSchema)
def list_screenplays(query: dict[str, Any]) -> Page[Any]:
    """Your screenplays and those that are shared with you, the newest first."""
    return library.find(current_user(), **query)


@bp.get("/all")
@permitted(READ_ALL, keys=True)
@bp.takes_query(SearchSchema)
@bp.returns(200, ScreenplayPageSchema)
def list_all_screenplays(query: dict[str, Any]) -> Page[Any]:
    """Everybody's screenplays, the newest first."""
    return library.find_all(current_user(), **query)


@bp.post("")
@signed_in(keys=WRITE)
@limited_writes
@takes_long_text
@idempotent()
@refuses(TooManyScreenplays)
@bp.takes(NewScreenplaySchema)
@bp.returns(201, ScreenplaySchema, headers=LOCATION)
def write_screenplay(screenplay: dict[str, Any]) -> tuple[Opened, int, dict[str, str]]:
    """Begin a screenplay. The text is Fountain."""
    made = library.write(current_user(), **screenplay)
    place = url_for("screenplays.read_screenplay_get", screenplay_id=made.screenplay.id)
    return made, 201, {"Location": place}


@bp.get("/<digits:screenplay_id>")
@signed_in(keys=READ)
@conditional
@refuses(NotFound)
@bp.returns(200, ScreenplaySchema)
def read_screenplay(screenplay_id: int) -> Opened:
    """One screenplay, with its text."""
    return opened(screenplay_id)


@bp.patch("/<digits:screenplay_id>")
@signed_in(keys=WRITE)
@limited_writes
@takes_long_text
@conditional
@refuses(NotFound, NotEnoughPermissions, IfMatchRequired)
@bp.takes(SavedScreenplaySchema)
@bp.returns(200, ScreenplaySchema)
def save_screenplay(changes: dict[str, Any], screenplay_id: int) -> Opened:
    """Save the given fields. `If-Match` is required, so that nobody overwrites unknowingly."""
    if "If-Match" not in request.headers:
        # Somebody for whom there is no such screenplay must hear that first.
        access.open_to_write(current_user(), screenplay_id)
        raise IfMatchRequired
    amends = changes.pop("amends", False)
    condition = expected(ScreenplaySchema)
    return library.save(current_user(), screenplay_id, changes, condition, amends=amends)


@bp.delete("/<digits:screenplay_id>")
@signed_in(keys=False)
@conditional
@refuses(NotFound, NotEnoughPermissions)
@bp.returns(204)
def delete_screenplay(screenplay_id: int) -> None:
    """Delete a screenplay of yours, with all its versions."""
    library.remove(current_user(), screenplay_id, expected(ScreenplaySchema))


@bp.get("/<digits:screenplay_id>/scenes")
@signed_in(keys=READ)
@refuses(NotFound)
@bp.returns(200, ScenesSchema)
def read_scenes(screenplay_id: int) -> dict[str, Any]:
    """The scenes, with the page on which each begins and its length."""
    script = fountain.parse(opened(screenplay_id).screenplay.text)
    return {"pages": paper.pages(script), "items": layout.scenes(script)}


@bp.get("/<digits:screenplay_id>/file.fountain")
@signed_in(keys=READ)
@refuses(NotFound)
@bp.returns(200, {"type": "string"}, content_type="text/plain")
def export_fountain(screenplay_id: int) -> Response:
    """The text as a file."""
    text = opened(screenplay_id).screenplay.text
    return _file(text, "text/plain", f"screenplay-{screenplay_id}.fountain")


@bp.get("/<digits:screenplay_id>/file.html")
@signed_in(keys=READ)
@refuses(NotFound)
@bp.returns(200, {"type": "string"}, content_type="text/html")
def export_html(screenplay_id: int) -> Response:
    """A file that looks like a printed screenplay."""
    screenplay = opened(screenplay_id).screenplay
    text = layout.document(screenplay.title, fountain.parse(screenplay.text))
    response = _file(text, "text/html", f"screenplay-{screenplay_id}.html")
    response.headers["Content-Security-Policy"] = layout.POLICY
    return response


@bp.get("/<digits:screenplay_id>/file.pdf")
@signed_in(keys=READ)
@limited_writes
@refuses(NotFound, TooManyPages)
@bp.returns(200, {"type": "string", "format": "binary"}, content_type="application/pdf")
def export_pdf(screenplay_id: int) -> Response:
    """The pages as they are printed. The scenes say on which of them they begin."""
    screenplay = opened(screenplay_id).screenplay
    content = pdf.file(screenplay.title, fountain.parse(screenplay.text))
    return _file(content, "application/pdf", f"screenplay-{screenplay_id}.pdf")


@bp.get("/<digits:screenplay_id>/versions")
@signed_in(keys=READ)
@refuses(NotFound)
@bp.takes_query(PageQuerySchema)
@bp.returns(200, VersionPageSchema)
def list_versions(query: dict[str, Any], screenplay_id: int) -> Page[Version]:
    """Who saved it and when, the last first."""
    opened(screenplay_id)
    return library.versions(screenplay_id, **query)


@bp.get("/<digits:screenplay_id>/versions/<digits:number>")
@signed_in(keys=READ)
@refuses(NotFound)
@bp.returns(200, WholeVersionSchema)
def read_version(screenplay_id: int, number: int) -> Version:
    """The screenplay as it was saved then."""
    opened(screenplay_id)
    return library.version(screenplay_id, number)


@bp.post("/<digits:screenplay_id>/versions/<digits:number>/restore")
@signed_in(keys=WRITE)
@limited_writes
@refuses(NotFound, NotEnoughPermissions)
@bp.returns(200, ScreenplaySchema)
def restore_version(screenplay_id: int, number: int) -> Opened:
    """Save an earlier version once more. The present one stays among the versions."""
    return library.restore(current_user(), screenplay_id, number)


@bp.get("/<digits:screenplay_id>/people")
@signed_in(keys=READ)
@refuses(NotFound)
@bp.returns(200, PeopleSchema)
def list_people(screenplay_id: int) -> dict[str, Any]:
    """The editors and readers. Only the owner sees who is invited."""
    return {"items": people.listed(opened(screenplay_id))}


@bp.post("/<digits:screenplay_id>/people")
@signed_in(keys=False)
@limited(MAIL)
@refuses(NotFound, NotEnoughPermissions, TooManyPeople, AlreadyInvited)
@bp.takes(NewPersonSchema)
@bp.returns(201, PersonSchema)
def invite_person(person: dict[str, Any], screenplay_id: int) -> Person:
    """Invite somebody by username or address. The answer does not tell whether they exist."""
    return people.invite(current_user(), screenplay_id, **person)


@bp.patch("/<digits:screenplay_id>/people/<digits:person_id>")
@signed_in(keys=False)
@refuses(NotFound, NotEnoughPermissions)
@bp.takes(RoleSchema)
@bp.returns(200, PersonSchema)
def give_person_role(role: dict[str, Any], screenplay_id: int, person_id: int) -> Person:
    """Give somebody another role."""
    return people.give_role(current_user(), screenplay_id, person_id, **role)


@bp.delete("/<digits:screenplay_id>/people/<digits:person_id>")
@signed_in(keys=False)
@refuses(NotFound, NotEnoughPermissions)
@bp.returns(204)
def remove_person(screenplay_id: int, person_id: int) -> None:
    """Take somebody off your screenplay, or yourself off another person's."""
    people.remove(current_user(), screenplay_id, person_id)


@bp.get("/invitations")
@signed_in(keys=False)
@bp.returns(200, InvitationsSchema)
def list_screenplay_invitations() -> dict[str, Any]:
    """The invitations that wait for you. Those to an address wait until it is confirmed."""
    return {"items": people.invitations(current_user())}


@bp.post("/invitations/<digits:invitation_id>/accept")
@signed_in(keys=False)
@refuses(NotFound)
@bp.returns(200, ScreenplaySchema)
def accept_screenplay_invitation(invitation_id: int) -> Opened:
    """Accept an invitation."""
    return people.accept(current_user(), invitation_id)


@bp.delete("/invitations/<digits:invitation_id>")
@signed_in(keys=False)
@refuses(NotFound)
@bp.returns(204)
def decline_screenplay_invitation(invitation_id: int) -> None:
    """Decline an invitation."""
    people.decline(current_user(), invitation_id)


def _file(content: str | bytes, kind: str, name: str) -> Response:
    # The name has no part of the title, which may hold anything.
    headers = {"Content-Disposition": f'attachment; filename="{name}"'}
    return Response(content, mimetype=kind, headers=headers)
