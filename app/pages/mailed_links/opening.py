"""The pages of the links: what a link is for, and the button that uses it."""

from typing import Any

from flask import Response

from app.access.limits import TOKEN, limited
from app.auth.schemas import Token
from app.errors import InvalidLink
from app.http.fields import Schema
from app.models import OneTimeToken
from app.pages.forms import EMPTY, Form, takes_form
from app.pages.mailed_links.ending import end
from app.pages.mailed_links.kinds import KINDS, Kind
from app.pages.page import Pages, render
from app.security import one_time_tokens
from config import settings

bp = Pages("mailed_links", __name__)


class PastedLink(Token):
    """The token, or the whole link with it."""

    def _deserialize(self, value: Any, *args: Any, **kwargs: Any) -> str:
        return _token_in(super()._deserialize(value, *args, **kwargs))


def _token_in(text: str) -> str:
    return text.strip().rpartition("token=")[2]


class PastedLinkSchema(Schema):
    token = PastedLink(required=True)


def show(form: Form, kind: Kind) -> Response:
    """The page. If a token was sent, it says for which account the link is."""
    # Whoever switches the language sends the text as it was pasted.
    token = _token_in(form.values.get("token", ""))
    link = _read(token, kind) if token else None
    if token and link is None and not form.is_refused:
        form = Form.refused(form.values, InvalidLink(), {})
    return render(
        "mailed_links/link.html",
        form=form,
        kind=kind,
        link=link,
        # The browser sends it back with the button. It was in the body of the request, so it
        # is in no address.
        token=token,
        has_pages=settings.pages,
    )


def _read(token: str, kind: Kind) -> OneTimeToken | None:
    """The link of the token, if it works. It is not used up."""
    try:
        return one_time_tokens.read(token, *kind.purposes)
    except InvalidLink:
        return None


def _add_pages(kind: Kind) -> None:
    """Add the page of a kind of links, its check, and its button."""

    def show_again(form: Form) -> Response:
        return show(form, kind)

    def open_link() -> Response:
        return show(EMPTY, kind)

    @limited(TOKEN)
    @takes_form(PastedLinkSchema)
    def check_link(given: dict[str, Any]) -> Response:
        if not given["token"]:
            raise InvalidLink
        return show(Form(given), kind)

    @limited(TOKEN)
    @takes_form(kind.schema)
    def use_link(given: dict[str, Any]) -> Response:
        kind.use(**given)
        return end(kind.done)

    name = kind.name.replace("-", "_")
    for view in (open_link, check_link, use_link):
        view.__name__ = f"{view.__name__}_{name}"
    bp.get(kind.path)(open_link)
    bp.post(f"{kind.path}/check", refused=show_again)(check_link)
    bp.post(kind.path, refused=show_again)(use_link)


for _kind in KINDS.values():
    _add_pages(_kind)
