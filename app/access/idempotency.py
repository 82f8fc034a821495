"""``Idempotency-Key``: a call that is repeated does nothing again, and has the same answer.

A client that got no answer does not know whether its call was carried out. If
it sent a key, it sends the same call with the same key again.
"""

import json
import logging
import re
from functools import wraps
from typing import Any

from flask import Response, current_app, g, request
from sqlalchemy.exc import SQLAlchemyError

from app.access import kept_answers
from app.access.kept_answers import (
    Hold,
    IdempotencyInFlight,
    IdempotencyKeyReused,
    IdempotencyKeyUsed,
)
from app.errors import AppError, Message, ValidationFailed
from app.extensions import db
from app.http import client
from app.http.blueprint import Decorator, View, documentation_of, refuses
from app.security import pseudonyms

log = logging.getLogger(__name__)

KEY = re.compile("[!-~]{1,200}")
# Refusals for what may pass by itself. After these, the key is free for any body.
PASSING = (409, 429)
# A longer answer is not stored. Where it repeats a long text that was sent, one user could fill the
# table with gigabytes in a day.
MOST_KEPT_BYTES = 64 * 1024
INVALID_KEY = Message("invalid_idempotency_key", "Must be 1 to 200 visible ASCII characters.")


def idempotent(*, has_secret: bool = False) -> Decorator:
    """Let clients send an ``Idempotency-Key`` with the call.

    Put it below the guards and the limits, and above the decorators that read
    the body. With ``has_secret`` the answer to success is not stored, because
    it shows a secret once; a repeated call is then ``idempotency_key_used``. So
    it is where the answer has more than 64 KiB.

    The view's change must be one commit of ``db.session``.
    """

    def decorate(view: View) -> View:
        @wraps(view)
        def once(*args: Any, **kwargs: Any) -> Any:
            if "HTTP_IDEMPOTENCY_KEY" not in request.environ:
                return view(*args, **kwargs)
            held = kept_answers.hold(_name_of_key(), _digest_of_body())
            if isinstance(held, str):
                return _again(held)
            try:
                with kept_answers.carrying_out(held):
                    response = current_app.make_response(view(*args, **kwargs))
            except AppError as refusal:
                _give_up(held, refusal.status)
                raise
            except Exception:
                _give_up(held, 500)
                raise
            if response.status_code >= 400:
                _give_up(held, response.status_code)
            else:
                _note(held, response, has_secret=has_secret)
            return response

        documentation_of(once)["idempotent"] = True
        errors = (IdempotencyInFlight, IdempotencyKeyUsed, IdempotencyKeyReused, ValidationFailed)
        return refuses(*errors)(once)  # type: ignore[return-value]

    return decorate


def _name_of_key() -> str:
    """The key of this caller for this call. Keys of different callers never meet."""
    sent = request.headers["Idempotency-Key"]
    if not KEY.fullmatch(sent):
        raise ValidationFailed([INVALID_KEY.about("Idempotency-Key")])
    session = g.get("session")
    caller = f"user {session.user_id}" if session else f"network {client.current().network}"
    return pseudonyms.of("idempotency key", f"{caller}\n{request.method} {request.path}\n{sent}")


def _digest_of_body() -> str:
    sent = request.query_string + b"\n" + request.get_data()
    return pseudonyms.of("body with an idempotency key", sent.decode("latin-1"))


def _give_up(held: Hold, status: int) -> None:
    """Let a call that was refused be tried again.

    It made nothing, so the same body is judged again. To store its answer would let anybody fill
    the table with calls that cost them nothing.
    """
    # This gives up the view's uncommitted changes and their locks. The write below would wait for
    # the locks.
    db.session.rollback()
    if status in PASSING or status >= 500:
        _try(kept_answers.release, held, also_if_carried_out=status < 500)
    else:
        _try(kept_answers.leave, held)


def _note(held: Hold, response: Response, *, has_secret: bool) -> None:
    """Keep the answer of a call that was carried out."""
    kept = {
        "status": response.status_code,
        "type": response.content_type,
        "location": response.headers.get("Location"),
        "body": response.get_data(as_text=True),
    }
    is_kept = not has_secret and len(response.get_data()) <= MOST_KEPT_BYTES
    _try(kept_answers.keep, held, json.dumps(kept) if is_kept else None)


def _try(write: Any, held: Hold, *args: Any, **kwargs: Any) -> None:
    """The change was made or refused by now, so its answer must not become another error."""
    try:
        write(held, *args, **kwargs)
    except SQLAlchemyError as error:
        log.warning("an idempotency key stays held until its lease ends", exc_info=error)


def _again(kept: str) -> Response:
    """The first answer."""
    first = json.loads(kept)
    headers = {"Location": first["location"]} if first["location"] else {}
    return current_app.response_class(
        first["body"], status=first["status"], headers=headers, content_type=first["type"]
    )
