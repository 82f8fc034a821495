"""The pages to add a passkey, to name it and to remove it."""

from typing import Any
from uuid import UUID

from flask import Response
from flask_babel import gettext

from app.access.guards import current_session, current_user, freshly_signed_in, signed_in
from app.access.levels import before_second_step
from app.access.limits import limited_writes
from app.auth.passkeys import keys
from app.auth.passkeys.models import Passkey
from app.auth.passkeys.routes import NameSchema, NewPasskeySchema
from app.errors import NotFound
from app.http import client
from app.pages import notices, words
from app.pages.forms import Form, takes_form
from app.pages.page import Pages, go, render
from app.pages.passkeys import offering
from app.pages.security import codes, overview

bp = Pages("passkeys", __name__)
bp.record(lambda state: offering.add_to_templates(state.app.jinja_env))
bp.before_request(offering.refuse_while_off)

PATH = f"{overview.PATH}/passkeys"

ADDED = "Your passkey is added."
ADDED_NOTICE = notices.declare("passkey_added", ADDED)
RENAMED = notices.declare("passkey_renamed", "Your passkey has its new name.")
REMOVED = notices.declare("passkey_removed", "Your passkey is removed.")


def show_new(form: Form) -> Response:
    return render("passkeys/new.html", form=form)


def show_one(form: Form, passkey_id: UUID) -> Response:
    return render("passkeys/passkey.html", form=form, passkey=_mine(passkey_id))


def _mine(passkey_id: UUID) -> Passkey:
    for passkey in keys.of(current_user().id):
        if passkey.id == passkey_id:
            return passkey
    raise NotFound


@bp.get(f"{PATH}/new")
@before_second_step
@freshly_signed_in
def new_passkey_page() -> Response:
    return show_new(Form({"name": words.device_of(client.current().user_agent)}))


@bp.post(f"{PATH}/new", refused=show_new)
@before_second_step
@freshly_signed_in
@limited_writes
@takes_form(NewPasskeySchema)
def add_passkey(given: dict[str, Any]) -> Response:
    _, made = keys.add(current_session(), **given)
    return codes.show(made, gettext(ADDED)) if made else go(overview.PATH, ADDED_NOTICE)


@bp.get(f"{PATH}/<uuid:passkey_id>")
@before_second_step
@signed_in
def passkey_page(passkey_id: UUID) -> Response:
    return show_one(Form({"name": _mine(passkey_id).name}), passkey_id)


@bp.post(f"{PATH}/<uuid:passkey_id>", refused=show_one)
@before_second_step
@signed_in
@limited_writes
@takes_form(NameSchema)
def rename_passkey(given: dict[str, Any], passkey_id: UUID) -> Response:
    keys.rename(current_session(), passkey_id, given["name"])
    return go(overview.PATH, RENAMED)


@bp.post(f"{PATH}/<uuid:passkey_id>/remove", refused=show_one)
@before_second_step
@freshly_signed_in
@limited_writes
def remove_passkey(passkey_id: UUID) -> Response:
    keys.remove(current_session(), passkey_id)
    return go(overview.PATH, REMOVED)
