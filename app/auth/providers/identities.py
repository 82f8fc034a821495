"""The identities of an account: linking, listing and unlinking them."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from sqlalchemy import ColumnElement, and_, exists, func, select
from sqlalchemy.exc import IntegrityError

from app import audit, clock
from app.audit.vocabulary import FeatureEvent
from app.auth import ways_in
from app.auth.notices import notify
from app.auth.providers import events, messages
from app.auth.providers.errors import IdentityTaken, TooManyIdentities
from app.auth.providers.models import Identity
from app.auth.providers.settings import Provider, providers
from app.auth.providers.visitor import Visitor
from app.auth.sessions import sessions
from app.database.rows import change, discard
from app.errors import NotFound
from app.extensions import db
from app.features.credentials import CredentialChange
from app.models import Session, User

# Pages and exports list all of them, and some providers give one person any number of accounts.
MOST_IDENTITIES = 50
# "This was not me" removes what was linked in this time, as it does with second factors.
RECENT = timedelta(days=7)
# The owner says that somebody else used the account.
TAKEN_BACK = (CredentialChange.REPUDIATED, CredentialChange.EMAIL_CHANGE_UNDONE)


def find(visitor: Visitor) -> Identity | None:
    """The identity of a visitor, if it is linked with an account."""
    found: Identity | None = db.session.scalar(select(Identity).where(_is_of(visitor)))
    return found


def of(user_id: int) -> Sequence[Identity]:
    """The user's identities, the oldest first."""
    mine = select(Identity).where(Identity.user_id == user_id)
    return db.session.scalars(mine.order_by(Identity.id)).all()


def use(user: User, visitor: Visitor) -> bool:
    """Write down that an identity of the user is used now. The caller holds the user, and commits.

    Returns whether it is still linked with this user.
    """
    using = (
        change(Identity)
        .where(_is_of(visitor), Identity.user_id == user.id)
        .values(last_used_at=clock.now(), label=visitor.label)
        .returning(Identity.id)
    )
    return db.session.scalar(using) is not None


def attach(user: User, provider: Provider, visitor: Visitor) -> None:
    """Link an identity. The caller holds the user, and commits.

    The unique constraint decides which of two accounts gets it. Raises
    ``IdentityTaken`` or ``TooManyIdentities``, and rolls back.
    """
    mine = select(func.count()).where(Identity.user_id == user.id)
    if (db.session.scalar(mine) or 0) >= MOST_IDENTITIES:
        db.session.rollback()
        raise TooManyIdentities
    identity = Identity(
        user_id=user.id,
        issuer=visitor.issuer,
        subject=visitor.subject,
        provider=provider.name,
        label=visitor.label,
    )
    db.session.add(identity)
    try:
        db.session.flush()
    except IntegrityError:
        db.session.rollback()
        raise IdentityTaken from None
    _record(events.IDENTITY_LINKED, user, identity)


def link(session: Session, provider: Provider, visitor: Visitor) -> None:
    """Link an identity with the account of a signed-in person. Commits.

    Nothing happens if it is linked with this account already. Raises
    ``IdentityTaken``, ``TooManyIdentities`` or ``SessionEnded``.
    """
    user = sessions.lock_user(session)
    if not use(user, visitor):
        attach(user, provider, visitor)
        notify(messages.identity_linked, user, provider=provider.label)
    db.session.commit()


def unlink(session: Session, identity_id: int) -> None:
    """Unlink an identity of the session's user. Commits.

    Raises ``NotFound``, ``LastWayIn`` or ``SessionEnded``.
    """
    user = sessions.lock_user(session)
    removal = discard(Identity).where(Identity.id == identity_id, Identity.user_id == user.id)
    identity: Identity | None = db.session.scalar(removal.returning(Identity))
    if identity is None:
        db.session.rollback()
        raise NotFound
    ways_in.refuse_if_none_is_left(user)
    notify(messages.identity_unlinked, user, provider=label_of(identity))
    _record(events.IDENTITY_UNLINKED, user, identity)
    db.session.commit()


def has_one_at(provider: Provider, user: User) -> bool:
    """Whether the user has an identity of this provider already."""
    mine = exists().where(Identity.user_id == user.id, Identity.issuer == provider.issuer)
    return bool(db.session.scalar(mine.select()))


def has_way_in(user_id: int) -> bool:
    """Whether the user can log in with a provider that this server has now."""
    issuers = Identity.issuer.in_([one.issuer for one in providers().values()])
    mine = exists().where(Identity.user_id == user_id, issuers)
    return bool(db.session.scalar(mine.select()))


def credentials_changed(user: User, change: CredentialChange) -> None:
    """Remove what somebody else may have linked. The caller holds the user, and commits."""
    which = [Identity.user_id == user.id]
    if change in TAKEN_BACK:
        which.append(Identity.created_at >= clock.now() - RECENT)
    elif change is not CredentialChange.MAILBOX_PROVED:
        return
    removed = db.session.scalars(discard(Identity).where(*which).returning(Identity.id)).all()
    if removed:
        audit.record(events.IDENTITIES_REMOVED, subject_id=user.id, identities=len(removed))


def label_of(identity: Identity) -> str:
    """The name of its provider for people. The provider may not be set up any more."""
    provider = providers().get(identity.provider)
    return provider.label if provider else identity.provider.capitalize()


def describe(identity: Identity) -> dict[str, Any]:
    """The shape ``Identity``."""
    names = ("id", "provider", "label", "created_at", "last_used_at")
    return {name: getattr(identity, name) for name in names}


def _is_of(visitor: Visitor) -> ColumnElement[bool]:
    return and_(Identity.issuer == visitor.issuer, Identity.subject == visitor.subject)


def _record(event: FeatureEvent, user: User, identity: Identity) -> None:
    audit.record(
        event,
        subject_id=user.id,
        actor_id=user.id,
        provider=identity.provider,
        identity_id=identity.id,
        personal={"label": identity.label},
    )
