"""The pages of the mails that wait, were set aside or are delivered."""

from collections.abc import Sequence
from typing import Any

from flask import Response, request

from app.access.guards import current_session, for_fresh_superusers, for_superusers
from app.administration import directory, mails
from app.database.pages import Page
from app.errors import ValidationFailed
from app.http.fields import OneOf
from app.http.parameters import PageQuerySchema
from app.mail.previewing import Preview, preview
from app.models import OutboxMessage, User
from app.pages import forms, language, notices
from app.pages.admin.mail_kinds import subject_of
from app.pages.admin.showing import render_admin
from app.pages.forms import Form
from app.pages.page import Pages, go

bp = Pages("admin_mail", __name__)

PATH = "/admin/mail"
ONE = f"{PATH}/<digits:number>"
NOTHING: Page[OutboxMessage] = Page([], None)

RETRIED = notices.declare("mail_retried", "The mail will be tried again in a moment.")
DELIVERED = notices.declare("mail_delivered", "The mail was delivered already.", is_refusal=True)
DROPPED = notices.declare("mail_dropped", "The mail is deleted, and will not be delivered.")


class MailQuerySchema(PageQuerySchema):
    state = OneOf(tuple(mails.LISTS), load_default="waiting")


@bp.get(PATH)
@for_superusers
def mails_page() -> Response:
    sent = {name: text for name, text in request.args.items() if text}
    try:
        query: dict[str, Any] = forms.loaded(MailQuerySchema(), sent)
        form, state, found = Form(sent), query["state"], mails.find(**query)
    except ValidationFailed as refusal:
        form, state, found = Form.refused(sent, refusal, {}), "waiting", NOTHING
    return render_admin(
        "admin/mails.html",
        form=form,
        state=state,
        found=found,
        people=_people(found.items),
        counts={state: mails.count(state) for state in ("waiting", "set_aside")},
        most=mails.MOST_COUNTED,
        subject_of=subject_of,
    )


@bp.get(ONE)
@for_superusers
def mail_page(number: int) -> Response:
    mail = mails.read(number)
    shown = preview(mail)
    return render_admin(
        "admin/mail.html",
        mail=mail,
        tag=language.tag_of(mail.locale),
        person=_people([mail]).get(mail.user_id or 0),
        preview=shown if isinstance(shown, Preview) else None,
        why_not=shown,
        subject_of=subject_of,
    )


@bp.post(f"{ONE}/retry")
@for_superusers
def retry_mail(number: int) -> Response:
    is_due = mails.retry(number, actor=current_session())
    return go(f"{PATH}/{number}", RETRIED if is_due else DELIVERED)


@bp.post(f"{ONE}/drop")
@for_fresh_superusers
def drop_mail(number: int) -> Response:
    mails.drop(number, actor=current_session())
    return go(PATH, DROPPED)


def _people(items: Sequence[OutboxMessage]) -> dict[int, User]:
    return directory.by_ids({mail.user_id for mail in items if mail.user_id is not None})
