"""Addresses that people and password managers know, and that lead to a page."""

from flask import Response

from app.pages.page import Pages, go

bp = Pages("entrances", __name__)


@bp.get("/")
def root() -> Response:
    return go("/account")


@bp.get("/.well-known/change-password")
def change_password() -> Response:
    """https://w3c.github.io/webappsec-change-password-url/"""
    return go("/account/password")
