"""The form that logs in with a passkey. It is on the page to log in."""

from typing import Any

from flask import Response
from flask_babel import gettext

from app.access import cookies
from app.access.limits import limited
from app.auth.mfa.limits import FACTOR_NETWORK
from app.auth.passkeys import proving
from app.auth.passkeys.routes import CredentialSchema
from app.errors import InvalidCredentials
from app.http.fields import Flag
from app.pages import next_path
from app.pages.forms import Form, takes_form
from app.pages.page import Pages
from app.pages.passkeys import offering
from app.pages.sign_in import login
from app.pages.sign_in.arriving import arrive

bp = Pages("passkey_login", __name__)
bp.before_request(offering.refuse_while_off)


class PasskeyLoginSchema(CredentialSchema):
    remember = Flag()


@bp.post("/account/login/passkey", refused=login.show)
@limited(FACTOR_NETWORK)
@takes_form(PasskeyLoginSchema)
def log_in_with_passkey(given: dict[str, Any]) -> Response:
    cookies.hold_session(remember=given.pop("remember"))
    try:
        begun = proving.log_in(**given)
    except InvalidCredentials:
        return login.show(_refused(given["credential"]))
    return arrive(next_path.wanted(), begun)


def _refused(credential: dict[str, Any]) -> Form:
    sentence = gettext("This passkey does not work here. Log in in another way.")
    unknown = offering.unknown(credential)
    return Form({"unknown_passkey": unknown}, general=(sentence,), status=422)
