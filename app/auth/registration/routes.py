"""The call that registers a user."""

from typing import Any

from flask import request, url_for

from app.access.idempotency import idempotent
from app.access.limits import REGISTER, limited
from app.auth.registration import registration
from app.auth.registration.schemas import RegisterSchema
from app.auth.schemas import NothingSchema, UserSchema
from app.errors import EmailTaken, Overloaded, UsernameTaken
from app.http import languages
from app.http.blueprint import Blueprint, accepted, refuses
from app.models import User
from config import settings

bp = Blueprint("registration", __name__)


@bp.post("/register")
@limited(REGISTER)
@idempotent()
@bp.takes(RegisterSchema)
@refuses(EmailTaken, UsernameTaken, Overloaded)
@bp.also_returns(202, NothingSchema, description="The owner of the address gets a mail")
@bp.returns(201, UserSchema, headers={"Location": {"schema": {"type": "string"}}})
def register(account: dict[str, Any]) -> tuple[User, int, dict[str, str]] | Any:
    """Make an account.

    If `HIDE_ACCOUNT_EXISTENCE` is on, the answer is 202 and `{}` for a new
    address and for a taken one, and the owner of the address gets a mail.
    """
    account["locale"] = languages.preferred(request.accept_languages)
    if settings.hide_account_existence:
        registration.register_quietly(**account)
        return accepted()
    user = registration.register(**account)
    return user, 201, {"Location": url_for("administration.read_user_get", user_id=user.id)}
