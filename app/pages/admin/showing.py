"""What all administration pages show."""

from typing import Any

from flask import Response

from app.access.guards import current_rights
from app.access.permissions import Rights
from app.pages.admin import menu
from app.pages.page import render


def render_admin(template: str, *, rights: Rights | None = None, **context: Any) -> Response:
    """A page with the menu of the administration. Its template gets ``rights``, too."""
    rights = rights or current_rights()
    return render(template, rights=rights, menu=menu.entries(rights), **context)
