"""The outbox. A mail is queued in a transaction and delivered later, so no mail is lost.

A message is delivered at least once. If it is sent twice, both mails have the
same ``Message-ID``, by which mail programs recognise them. Any number of
deliverers may run. Each claims a row by one conditional UPDATE for the time of
a lease, and only the deliverer that holds the lease writes the result.
"""

import base64
import hashlib
import json
import logging
from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

from cryptography.fernet import Fernet
from sqlalchemy import exists, func, select

from app import clock
from app.database.rows import lock
from app.extensions import db
from app.http.languages import LOCALES
from app.mail import composing, wordings
from app.mail.wordings import Resolver, Wording
from app.models import User
from app.models.outbox_message import WAITING, OutboxMessage
from app.security import identifiers
from config import settings

log = logging.getLogger(__name__)

# Anybody can ask for some kinds of mails to an address. Of each kind the address gets at most this
# many in this time.
CAP, CAP_PERIOD = 2, timedelta(minutes=15)


def queue(
    message: Wording | Resolver, *, to: str, user: User | None = None, **context: Any
) -> None:
    """Put a message into the outbox. The caller commits.

    ``message`` is the function that words it, or a resolver. ``context`` holds
    the arguments of that function, which may only be text and numbers.
    """
    _add(message, to, user, clock.now(), context)


def queue_for_later(resolver: Resolver, due_at: datetime, *, user: User) -> None:
    """Queue a request for a mail to the user, which is decided when it is due. The caller commits.

    It has no context, which could not be opened any more if SECRET_KEY changes until then.
    Requests of one kind for the same hour are one, which is due when the hour begins. The caller
    holds the user, so that no other request adds the same one.
    """
    due_at = due_at.replace(minute=0, second=0, microsecond=0)
    is_queued = exists().where(
        OutboxMessage.user_id == user.id,
        OutboxMessage.message == wordings.name_of(resolver),
        OutboxMessage.due_at == due_at,
        WAITING,
    )
    if not db.session.scalar(is_queued.select()):
        _add(resolver, user.email, user, due_at, {})


def _add(
    message: Wording | Resolver,
    to: str,
    user: User | None,
    due_at: datetime,
    context: dict[str, Any],
) -> None:
    db.session.add(
        OutboxMessage(
            message_id=composing.message_id(uuid4()),
            user_id=user.id if user else None,
            recipient=to,
            message=wordings.name_of(message),
            locale=user.locale if user else LOCALES[0],
            sealed=seal(context),
            created_at=clock.now(),
            due_at=due_at,
        )
    )


def request(resolver: Resolver, email: str, **context: Any) -> None:
    """Queue a request for a mail to the user who has this address, if anybody has it. Commits.

    For every valid address the same work is done here, so the answer's time
    does not tell whether a user has it. ``context`` is for the resolver.
    """
    try:
        queue(resolver, to=identifiers.canonical_email(email), **context)
    except identifiers.InvalidEmail:
        return
    db.session.commit()


def addressee(request: OutboxMessage, *kinds: Wording) -> User | None:
    """Return the user who should get the mail of a request, or ``None`` for no mail.

    It is ``None`` if nobody has the address, or if the address got enough
    mails already. ``kinds`` are the mails that count together with this one.

    Resolvers call this. It takes a lock on the user, so that requests at the
    same time are counted one after the other.
    """
    user = lock(User, User.email == request.recipient)
    if user is None:
        return None
    if is_mailed_enough(request.recipient, *kinds):
        return None
    request.user_id, request.locale = user.id, user.locale
    return user


def is_mailed_enough(recipient: str, *kinds: Wording | Resolver, most: int = CAP) -> bool:
    """Whether the address got the most mails of these kinds that may be asked for lately."""
    return queued_lately(recipient, *kinds, within=CAP_PERIOD) >= most


def queued_lately(recipient: str, *kinds: Wording | Resolver, within: timedelta) -> int:
    """Count the mails of these kinds that were queued for the address in this time."""
    recent = (
        select(func.count())
        .select_from(OutboxMessage)
        .where(OutboxMessage.recipient == recipient)
        .where(OutboxMessage.created_at > clock.now() - within)
        .where(OutboxMessage.message.in_([wordings.name_of(kind) for kind in kinds]))
    )
    return db.session.scalar(recent) or 0


def context_of(request: OutboxMessage) -> dict[str, Any]:
    """Return the context that was queued with a request. Resolvers call this."""
    return unseal(request.sealed or "")


def seal(context: dict[str, Any]) -> str:
    return _sealing_key().encrypt(json.dumps(context).encode()).decode()


def unseal(sealed: str) -> dict[str, Any]:
    context: dict[str, Any] = json.loads(_sealing_key().decrypt(sealed.encode()))
    return context


def _sealing_key() -> Fernet:
    digest = hashlib.sha256(b"user system: outbox\0" + settings.secret_key.encode()).digest()
    return Fernet(base64.urlsafe_b64encode(digest))
