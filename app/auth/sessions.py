"""Starting, refreshing and ending sessions."""

from datetime import datetime
from uuid import UUID, uuid4

from sqlalchemy import ColumnElement, Update, and_, case, exists, select, update
from sqlalchemy.exc import IntegrityError

from app import clock
from app.errors import InvalidCredentials, InvalidRefreshToken, RefreshTokenReused
from app.extensions import db
from app.models import Session, User
from app.security import tokens
from app.security.client_address import Client
from app.security.tokens import RefreshClaims, TokenPair
from config import settings


def start(user: User, client: Client) -> TokenPair:
    """Sign a device in, for a user whose password was found right. Commits.

    Raises ``InvalidCredentials`` when the account was deleted or deactivated,
    or its password changed, since the password was compared.
    """
    now = clock.now()
    session = Session(
        user_id=user.id,
        ip=client.ip,
        user_agent=client.user_agent,
        created_at=now,
        refreshed_at=now,
        expires_at=now + min(settings.refresh_token_lifetime, settings.session_max_age),
        max_expires_at=now + settings.session_max_age,
    )
    db.session.add(session)
    try:
        db.session.flush()
    except IntegrityError:
        db.session.rollback()
        raise InvalidCredentials from None
    # Hashing took a while. Whoever deactivates an account or changes its password writes to
    # the user first and ends the sessions next, so under this lock either they see the new
    # session, or this sees what they did.
    unchanged = (
        select(User.id)
        .where(User.id == user.id, User.is_active)
        .where(User.hashed_password == user.hashed_password)
        .with_for_update(key_share=True)
    )
    if db.session.scalar(unchanged) is None:
        db.session.rollback()
        raise InvalidCredentials
    db.session.commit()
    return tokens.pair_for(session, fresh=True)


def refresh(refresh_token: str) -> TokenPair:
    """Swap a refresh token for a new pair. Commits.

    Each refresh token works once. The one just superseded gets the same
    successor again for a short while: a second tab, or a client whose answer
    was lost, is no thief. Any older one has been copied, and nothing tells
    the thief's copy from the owner's, so the session ends for both. Raises
    ``InvalidRefreshToken`` or ``RefreshTokenReused``.
    """
    claims = tokens.read_refresh_token(refresh_token)
    return tokens.pair_for(_rotate(claims) or _successor(claims))


def end(session_id: UUID) -> None:
    """Sign a device out. Commits. Ending what is over already changes nothing."""
    db.session.execute(_ending(Session.id == session_id))
    db.session.commit()


def end_all(user_id: int) -> None:
    """Sign all of a user's devices out. The caller commits, having written to the user first."""
    db.session.execute(_ending(Session.user_id == user_id))


def _rotate(claims: RefreshClaims) -> Session | None:
    """Make the current token the previous one; ``None`` if it is not current, or not alive."""
    now = clock.now()
    idle_limit = now + settings.refresh_token_lifetime
    # Checking and replacing are one UPDATE: when several requests race with the same token,
    # the database lets one of them find a row to change.
    rotation = (
        update(Session)
        .where(Session.id == claims.session_id, Session.user_id == claims.user_id)
        .where(Session.refresh_jti == claims.jti, _is_live(now))
        .where(exists().where(User.id == Session.user_id, User.is_active))
        .values(
            previous_jti=Session.refresh_jti,
            refresh_jti=uuid4(),
            refreshed_at=now,
            expires_at=case(
                (Session.max_expires_at < idle_limit, Session.max_expires_at), else_=idle_limit
            ),
        )
        .returning(Session)
        .execution_options(synchronize_session=False)
    )
    session = db.session.scalar(rotation)
    db.session.commit()
    return session


def _successor(claims: RefreshClaims) -> Session:
    """The session of a token that is not current, if it was superseded just now."""
    session = db.session.get(Session, claims.session_id, populate_existing=True)
    if session is None or session.user_id != claims.user_id or not session.is_live:
        raise InvalidRefreshToken
    if session.refresh_jti == claims.jti:
        # Current, yet not rotated: its user may not log in any more.
        raise InvalidRefreshToken
    if session.previous_jti == claims.jti and _is_within_retry_window(session):
        return session

    # The end must outlive the refusal, so it is committed first.
    end(claims.session_id)
    raise RefreshTokenReused


def _ending(which: ColumnElement[bool]) -> Update:
    return (
        update(Session)
        .where(which, Session.ended_at.is_(None))
        .values(ended_at=clock.now())
        .execution_options(synchronize_session=False)
    )


def _is_within_retry_window(session: Session) -> bool:
    window = settings.refresh_retry_window
    # A window of 0 lets nothing through, not even where two hosts' clocks differ.
    return bool(window) and clock.now() < session.refreshed_at + window


def _is_live(now: datetime) -> ColumnElement[bool]:
    return and_(Session.ended_at.is_(None), Session.expires_at > now)
