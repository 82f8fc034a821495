"""The page to make recovery codes."""

from flask import Response

from app.access.guards import current_session, current_user, freshly_signed_in
from app.access.levels import before_second_step
from app.access.limits import limited_writes
from app.auth.mfa import factors
from app.auth.mfa.recovery_codes import codes as recovery_codes
from app.pages.page import Pages, render
from app.pages.security import codes, overview

bp = Pages("recovery_codes", __name__)

PATH = f"{overview.PATH}/recovery-codes"


@bp.get(PATH)
@before_second_step
@freshly_signed_in
def recovery_codes_page() -> Response:
    held = factors.describe(current_user())["recovery_codes"]
    return render("security/recovery_codes.html", held=held)


@bp.post(PATH, refused=overview.show)
@before_second_step
@freshly_signed_in
@limited_writes
def make_recovery_codes() -> Response:
    return codes.show(recovery_codes.make_anew(current_session()))
