"""The outbox: queue in the transaction, deliver outside it, lose nothing.

A message is delivered at least once. Repeats carry the same ``Message-ID``,
by which mail programs recognise them. Any number of deliverers may run: each
row is claimed by one conditional UPDATE, for as long as a lease lasts, and
what becomes of it is written only by the deliverer that holds the lease.
"""

import base64
import hashlib
import json
import logging
from collections.abc import Callable
from datetime import timedelta
from typing import Any
from uuid import uuid4

from cryptography.fernet import Fernet
from sqlalchemy import func, select

from app import clock
from app.database import rows as database_rows
from app.extensions import db
from app.http.languages import LOCALES
from app.mail import composing, messages
from app.mail.messages import Content
from app.models import User
from app.models.outbox_message import OutboxMessage
from app.security import identifiers
from config import settings

log = logging.getLogger(__name__)

# Mails of one kind that anybody may ask for to one address: so many in so long a time.
CAP, CAP_PERIOD = 2, timedelta(minutes=15)

# A request for a mail that is decided on outside the request, so that the answer's time says
# nothing: the function finds out who is meant, and prepares the message or drops it.
Wording = Callable[..., Content]
Resolver = Callable[[OutboxMessage], tuple[Wording, dict[str, Any]] | None]
resolvers: dict[str, Resolver] = {}


def resolver(function: Resolver) -> Resolver:
    """Register a function that decides on requests queued for it. It must not commit."""
    if hasattr(messages, function.__name__):
        raise ValueError(f"{function.__name__} is the name of a message already.")
    resolvers[function.__name__] = function
    return function


def queue(
    message: Wording | Resolver, *, to: str, user: User | None = None, **context: Any
) -> None:
    """Put a message into the outbox. The caller commits.

    ``message`` is the function that words it, or a resolver; ``context`` is
    what it is given: text, numbers and nothing else.
    """
    now = clock.now()
    db.session.add(
        OutboxMessage(
            message_id=composing.message_id(uuid4()),
            user_id=user.id if user else None,
            recipient=to,
            message=message.__name__,
            locale=user.locale if user else LOCALES[0],
            sealed=seal(context),
            created_at=now,
            due_at=now,
        )
    )


def request(resolver: Resolver, email: str, **context: Any) -> None:
    """Queue a request for a mail to whoever has this address, if anybody has. Commits.

    What is done here is the same for every address that is one. ``context``
    is for the resolver.
    """
    try:
        queue(resolver, to=identifiers.canonical_email(email), **context)
    except identifiers.InvalidEmail:
        return
    db.session.commit()


def addressee(request: OutboxMessage, *kinds: Wording) -> User | None:
    """Who has the address of a request; ``None`` too where they were mailed enough already.

    ``kinds`` are the mails that count together with this one.

    For resolvers. Takes a lock on the user, so that requests at once are
    counted one after the other.
    """
    user = database_rows.hold(User, User.email == request.recipient)
    if user is None:
        return None
    if is_mailed_enough(request.recipient, *kinds):
        return None
    request.user_id, request.locale = user.id, user.locale
    return user


def is_mailed_enough(recipient: str, *kinds: Wording | Resolver, most: int = CAP) -> bool:
    """Whether as many mails of these kinds went to the address lately as may be asked for."""
    return queued_lately(recipient, *kinds, within=CAP_PERIOD) >= most


def queued_lately(recipient: str, *kinds: Wording | Resolver, within: timedelta) -> int:
    """How many mails of these kinds were queued for the address in this time."""
    recent = (
        select(func.count())
        .select_from(OutboxMessage)
        .where(OutboxMessage.recipient == recipient)
        .where(OutboxMessage.created_at > clock.now() - within)
        .where(OutboxMessage.message.in_([kind.__name__ for kind in kinds]))
    )
    return db.session.scalar(recent) or 0


def context_of(request: OutboxMessage) -> dict[str, Any]:
    """What was queued with a request, for resolvers."""
    return unseal(request.sealed or "")


def seal(context: dict[str, Any]) -> str:
    return _sealing_key().encrypt(json.dumps(context).encode()).decode()


def unseal(sealed: str) -> dict[str, Any]:
    context: dict[str, Any] = json.loads(_sealing_key().decrypt(sealed.encode()))
    return context


def _sealing_key() -> Fernet:
    digest = hashlib.sha256(b"user system: outbox\0" + settings.secret_key.encode()).digest()
    return Fernet(base64.urlsafe_b64encode(digest))
