"""The page from which people download everything that is stored about them."""

from flask import Response
from werkzeug.sansio.response import Response as AnyResponse

from app.access.guards import current_user, fresh_until, freshly_signed_in, signed_in
from app.access.limits import limited_writes
from app.http.blueprint import streamed
from app.pages.page import HEADERS, Pages, render
from app.users import export
from app.users.export_schemas import with_parts_of_features

bp = Pages("export", __name__)


@bp.get("/account/export")
@signed_in
def export_page() -> Response:
    return render("account/export.html", is_fresh=fresh_until() is not None)


@bp.post("/account/export")
@freshly_signed_in
@limited_writes
def download_export() -> AnyResponse:
    attachment = {"Content-Disposition": 'attachment; filename="account.json"'}
    document = export.everything_about(current_user())
    return streamed(with_parts_of_features(), document, {**HEADERS, **attachment})
