"""What the calls share that give a client something to hold for its session."""

from collections.abc import Callable
from functools import wraps
from typing import Any

from flask import current_app
from werkzeug.sansio.response import Response

from app.access import cookies, csrf
from app.auth.sessions.handover import Handover
from app.auth.sessions.schemas import CookieQuerySchema, CookieSessionSchema
from app.errors import BadRequest, CsrfFailed
from app.http.blueprint import Blueprint, Decorator, View, refuses

COOKIE_SESSION = CookieSessionSchema()
# Of the answers, for the OpenAPI document. Programs that keep tokens get the schema alone.
TOKENS = "Tokens. Where a cookie holds the session: its `Session` as `session`, and no token."


def may_ask_for_cookie(bp: Blueprint) -> Decorator:
    """Let the client of a login ask for a cookie in place of tokens: ``?cookie=true``."""

    def decorate(view: View) -> View:
        @wraps(view)
        def with_holder(query: dict[str, bool], *args: Any, **kwargs: Any) -> Any:
            if query["cookie"]:
                csrf.refuse_other_origins()
                if not cookies.are_possible():
                    raise BadRequest
                cookies.hold_session(remember=query["remember"])
            return view(*args, **kwargs)

        guarded = refuses(BadRequest, CsrfFailed)(with_holder)
        return bp.takes_query(CookieQuerySchema)(guarded)  # type: ignore[return-value]

    return decorate


def hands_over(make_tokens: Callable[[Handover], Any]) -> Callable[..., Callable[..., Any]]:
    """Answer with the tokens of the view's ``Handover``, or with the session of a cookie."""

    def decorate(view: Callable[..., Handover]) -> Callable[..., Any]:
        @wraps(view)
        def handed(*args: Any, **kwargs: Any) -> Any:
            handover = view(*args, **kwargs)
            if handover.session.kind == "token":
                return make_tokens(handover)
            answer: Response = current_app.json.response(
                COOKIE_SESSION.dump({"session": handover.session})
            )
            return answer

        return handed

    return decorate
