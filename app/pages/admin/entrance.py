"""The entrance of the administration pages."""

from flask import Response

from app.access.guards import signed_in
from app.pages.admin import menu
from app.pages.page import Pages, go

bp = Pages("administration", __name__)


@bp.get("/admin")
@signed_in
def administration() -> Response:
    return go(menu.first_path())
