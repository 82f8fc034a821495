"""The calls on addresses."""

from typing import Any

from app.access.guards import current_session, freshly_signed_in
from app.access.limits import MAIL, MAIL_PER_ADDRESS, TOKEN, limited, limited_writes, to_address
from app.auth.email import change, verification
from app.auth.email.schemas import NewAddressSchema
from app.auth.schemas import AddressSchema, MailedTokenSchema, NothingSchema
from app.errors import InvalidLink
from app.http.blueprint import Blueprint, refuses

bp = Blueprint("email", __name__)


@bp.post("/email/resend")
@limited(MAIL)
@bp.takes(AddressSchema)
@limited(MAIL_PER_ADDRESS, by=to_address)
@bp.returns(202, NothingSchema)
def resend_verification(body: dict[str, Any]) -> dict[str, Any]:
    """Ask for another mail with the link that confirms your address."""
    verification.resend(body["email"])
    return {}


@bp.post("/email/verify")
@limited(TOKEN)
@bp.takes(MailedTokenSchema)
@refuses(InvalidLink)
@bp.returns(204)
def verify_email(body: dict[str, Any]) -> None:
    """Confirm an address with the token from a mail."""
    verification.verify(body["token"])


@bp.post("/email/change")
@freshly_signed_in
@limited_writes
@limited(MAIL)
@bp.takes(NewAddressSchema)
@limited(MAIL_PER_ADDRESS, by=to_address)
@bp.returns(202, NothingSchema)
def change_email(body: dict[str, Any]) -> dict[str, Any]:
    """Ask to use another address. It changes when you use the link that is mailed to it."""
    change.ask(current_session(), body["new_email"])
    return {}


@bp.post("/email/change/confirm")
@limited(TOKEN)
@bp.takes(MailedTokenSchema)
@refuses(InvalidLink)
@bp.returns(204)
def confirm_email_change(body: dict[str, Any]) -> None:
    """Use the address that the token was mailed to."""
    change.confirm(body["token"])


@bp.post("/email/change/cancel")
@limited(TOKEN)
@bp.takes(MailedTokenSchema)
@refuses(InvalidLink)
@bp.returns(204)
def cancel_email_change(body: dict[str, Any]) -> None:
    """Stop a change of address, or undo it. Every device is signed out."""
    change.cancel(body["token"])
