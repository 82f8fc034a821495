"""The pages on which people make, change and revoke their API keys."""

from datetime import timedelta
from typing import Any
from uuid import UUID

from flask import Response
from flask_babel import gettext

from app import clock
from app.access.guards import current_session, current_user, freshly_signed_in, signed_in
from app.access.limits import limited_writes
from app.api_keys import ending, keys
from app.api_keys.models import ApiKey
from app.api_keys.schemas import KeyChangesSchema, NewKeySchema, RotationSchema
from app.api_keys.settings import USUAL_DAYS, KeySettings
from app.pages import notices, times
from app.pages.api_keys import key_form
from app.pages.forms import Form, takes_form
from app.pages.page import Pages, go, render
from config import settings

bp = Pages("keys", __name__)

PATH = "/account/keys"

CHANGED = notices.declare("key_changed", "The API key is changed.")
REVOKED = notices.declare("key_revoked", "The API key is revoked.")
MADE = "Your API key is made."
REPLACED = "Your API key is replaced."


def show_new(form: Form) -> Response:
    most = settings.of(KeySettings).max_days
    possible = keys.possible_scopes(current_session())
    return render(
        "api_keys/new.html",
        form=form,
        scopes=[(f"{key_form.SCOPE}{one.name}", gettext(one.description)) for one in possible],
        days=[
            (str(days), times.span(timedelta(days=days)))
            for days in sorted({min(days, most) for days in key_form.DAYS})
        ],
    )


def show_one(form: Form, key_id: UUID) -> Response:
    key = keys.one_of(current_user().id, key_id)
    overlaps = (gettext("not at all"), gettext("one hour"), gettext("one day"))
    return render(
        "api_keys/key.html",
        form=form,
        key=key,
        is_over=_is_over(key),
        overlaps=list(zip(key_form.OVERLAPS, overlaps, strict=True)),
    )


def _shown_once(key: ApiKey, secret: str, done: str) -> Response:
    """The answer to the POST that made the key. No other page shows it."""
    return render("api_keys/made.html", key=key, secret=secret, done=done)


def _is_over(key: ApiKey) -> bool:
    return key.expires_at <= clock.now()


@bp.get(PATH)
@signed_in
def keys_page() -> Response:
    mine = keys.of(current_user().id)
    return render("api_keys/list.html", keys=[(key, _is_over(key)) for key in mine])


@bp.get(f"{PATH}/new")
@freshly_signed_in
def new_key_page() -> Response:
    days = min(USUAL_DAYS, settings.of(KeySettings).max_days)
    return show_new(Form({"expires_in_days": str(days)}))


@bp.post(f"{PATH}/new", refused=show_new)
@freshly_signed_in
@limited_writes
@takes_form(NewKeySchema, as_body=key_form.new_key)
def make_key(given: dict[str, Any]) -> Response:
    return _shown_once(*keys.make(current_session(), **given), gettext(MADE))


@bp.get(f"{PATH}/<uuid:key_id>")
@signed_in
def key_page(key_id: UUID) -> Response:
    key = keys.one_of(current_user().id, key_id)
    return show_one(Form({"name": key.name, "networks": key.networks}), key_id)


@bp.post(f"{PATH}/<uuid:key_id>", refused=show_one)
@signed_in
@limited_writes
@takes_form(KeyChangesSchema, as_body=key_form.body_of)
def edit_key(given: dict[str, Any], key_id: UUID) -> Response:
    keys.edit(current_session(), key_id, given)
    return go(PATH, CHANGED)


@bp.post(f"{PATH}/<uuid:key_id>/rotate", refused=show_one)
@freshly_signed_in
@limited_writes
@takes_form(RotationSchema, as_body=key_form.body_of)
def rotate_key(given: dict[str, Any], key_id: UUID) -> Response:
    return _shown_once(*keys.rotate(current_session(), key_id, **given), gettext(REPLACED))


@bp.post(f"{PATH}/<uuid:key_id>/revoke", refused=show_one)
@signed_in
def revoke_key(key_id: UUID) -> Response:
    ending.revoke(current_session(), key_id)
    return go(PATH, REVOKED)
