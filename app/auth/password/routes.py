"""The calls on passwords."""

from typing import Any

from app.access.guards import current_session, signed_in
from app.access.levels import before_second_step
from app.access.limits import (
    MAIL,
    MAIL_PER_ADDRESS,
    TOKEN,
    limited,
    limited_guesses,
    limited_writes,
    to_address,
)
from app.auth.password import change, not_me, reset
from app.auth.password.schemas import PasswordChangeSchema, PasswordResetSchema
from app.auth.schemas import AddressSchema, MailedTokenSchema, NothingSchema, TokenSchema
from app.auth.sessions.handover import Handover, tokens_of
from app.auth.sessions.handover_routes import TOKENS, hands_over
from app.errors import InvalidLink, Overloaded, WrongPassword
from app.http.blueprint import Blueprint, refuses

bp = Blueprint("password", __name__)


@bp.post("/password/change")
@before_second_step
@signed_in(keys=False)
@limited_writes
@limited_guesses
@bp.takes(PasswordChangeSchema)
@refuses(WrongPassword, Overloaded)
@bp.returns(200, TokenSchema, description=TOKENS)
@hands_over(tokens_of)
def change_password(body: dict[str, Any]) -> Handover:
    """Set a new password. This session goes on with the new pair of tokens.

    All older tokens of this session stop working, and your other devices are
    signed out. Your API keys end, unless you send `keep_keys`.
    """
    return change.change(current_session(), **body)


@bp.post("/password/forgot")
@limited(MAIL)
@bp.takes(AddressSchema)
@limited(MAIL_PER_ADDRESS, by=to_address)
@bp.returns(202, NothingSchema)
def forgot_password(body: dict[str, Any]) -> dict[str, Any]:
    """Ask for a link to set a new password. The answer is the same if there is no account."""
    reset.forgot(body["email"])
    return {}


@bp.post("/password/reset")
@limited(TOKEN)
@bp.takes(PasswordResetSchema)
@refuses(InvalidLink, Overloaded)
@bp.returns(204)
def reset_password(body: dict[str, Any]) -> None:
    """Set a new password with the token from a mail. Every device is signed out."""
    reset.reset(**body)


@bp.post("/not-me")
@limited(TOKEN)
@bp.takes(MailedTokenSchema)
@refuses(InvalidLink)
@bp.returns(204)
def repudiate(body: dict[str, Any]) -> None:
    """Say that it was not you.

    Every device is signed out, and you get a mail with a link to set a new password.
    """
    not_me.repudiate(body["token"])
