"""The one function that makes sessions."""

from dataclasses import replace
from datetime import datetime
from typing import Any
from uuid import uuid4

from sqlalchemy import Integer, and_, bindparam, case, func, insert, select, update
from sqlalchemy.exc import IntegrityError

from app import audit, clock
from app.access import cookies, guards
from app.access.live_session import NOW, is_live
from app.access.proof import Proof
from app.audit.vocabulary import Event
from app.auth.deletion import cancel_deletion
from app.auth.login import stages
from app.auth.login.authentication import record_failure
from app.auth.notices import notify
from app.auth.sessions.handover import Handover
from app.auth.sessions.sessions import end_where
from app.database.prepared import Prepared
from app.database.rows import detached
from app.errors import (
    EmailNotVerified,
    InactiveUser,
    InvalidCredentials,
    LoginRefused,
    MfaRequired,
    WrongFactor,
)
from app.extensions import db
from app.http import client
from app.mail import messages
from app.models import Session, User
from app.security import random_tokens
from config import settings

# How a login may be refused although its first proof is right.
GATE_REFUSALS = (InvalidCredentials, InactiveUser, EmailNotVerified, MfaRequired, WrongFactor)

# The statements of a login, each compiled once.
NEW = Prepared(insert(Session).returning(Session.id))
UNCHANGED = Prepared(
    select(User.deletion_due_at, User.second_step_at)
    .where(User.id == bindparam("user"), User.is_active)
    .where(User.hashed_password.is_not_distinct_from(bindparam("password")))
    .with_for_update(key_share=True)
)
_OTHERS = and_(Session.user_id == bindparam("user"), Session.id != bindparam("this"))
SURPLUS = Prepared(
    update(Session)
    .where(
        Session.id.in_(
            select(Session.id)
            .where(_OTHERS, is_live(NOW))
            .order_by(Session.refreshed_at.desc())
            .offset(bindparam("kept", type_=Integer))
        )
    )
    .where(Session.ended_at.is_(None))
    .values(ended_at=NOW)
    .returning(Session.id)
)
_ALIKE = and_(
    Session.ip.is_not_distinct_from(bindparam("address")),
    Session.user_agent.is_not_distinct_from(bindparam("agent")),
)
EARLIER = Prepared(select(func.count(), func.count(case((_ALIKE, 1)))).where(_OTHERS))


def start(user: User, proof: Proof = Proof()) -> Handover:  # noqa: B008
    """Sign a device in, for a user who gave a right proof. Commits.

    Every way in ends here. The client gets tokens, or a cookie if the view
    called ``cookies.hold_session``. Raises ``InactiveUser`` or ``EmailNotVerified``;
    what the stages of features raise, such as that a second factor is due; or
    ``InvalidCredentials`` if the account was deleted, deactivated or given a
    second step, or its password changed, since the proof was given.
    """
    try:
        proof = stages.pass_all(user, _with_cookie_of_device(proof))
    except LoginRefused as refusal:
        if refusal.recorded_reason:
            db.session.rollback()
            record_failure(user, refusal.recorded_reason)
        raise
    now, device = clock.now(), client.current()
    columns = {
        "id": uuid4(),
        "user_id": user.id,
        "refresh_jti": uuid4(),
        "previous_jti": None,
        "retried_jti": None,
        "generation": 0,
        "ip": device.ip,
        "user_agent": device.user_agent,
        "created_at": now,
        "refreshed_at": now,
        "rotated_at": None,
        "max_expires_at": now + settings.session_max_age,
        "ended_at": None,
        "aal": proof.aal,
        "amr": " ".join(proof.amr),
        "signed_in_by": proof.signed_in_by,
        **_columns_of_holder(now, proof),
    }
    session = detached(Session, columns)
    try:
        NEW.run(**columns)
    except IntegrityError:
        db.session.rollback()
        record_failure(None, "account_changed")
        raise InvalidCredentials from None
    # Hashing took a while. A request that deactivates an account or changes its password writes
    # to the user first and ends the sessions next. So under this lock either that request sees
    # the new session, or this one sees its change.
    unchanged = UNCHANGED.run(user=user.id, password=user.hashed_password)
    if not unchanged:
        db.session.rollback()
        record_failure(user, "account_changed")
        raise InvalidCredentials
    [[deletion_due_at, second_step_at]] = unchanged
    if second_step_at and proof.aal < 2:
        # It was switched on after the stages had looked.
        db.session.rollback()
        record_failure(user, "account_changed")
        raise InvalidCredentials
    [[earlier, alike]] = EARLIER.run(
        user=user.id, this=session.id, address=device.ip, agent=device.user_agent
    )
    ended = _end_replaced(session)
    if earlier >= settings.max_sessions_per_user:
        ended += _end_surplus(session)
    if deletion_due_at:
        cancel_deletion(user.id, actor_id=user.id)
    # The first login of a new account sends no warning. The past sessions of an old account may
    # have been pruned, so a login after a long time does.
    is_back = user.created_at < now - settings.session_max_age
    is_new_device = not alike and (earlier > 0 or is_back)
    if is_new_device:
        notify(messages.new_device, user)
    audit.record(
        Event.LOGIN_SUCCEEDED,
        subject_id=user.id,
        actor_id=user.id,
        session_id=str(session.id),
        is_new_device=is_new_device,
        sessions_ended=ended,
    )
    db.session.commit()
    if session.cookie_hash is not None:
        guards.go_on_as(session, user)
        if proof.device_token is not None and proof.device_expires_at is not None:
            cookies.remember_device(proof.device_token, expires_at=proof.device_expires_at)
    return Handover(session, proof.is_fresh, proof.device_token, bool(deletion_due_at))


def _with_cookie_of_device(proof: Proof) -> Proof:
    """Let a browser show by its cookie that it is a remembered device."""
    token = cookies.sent_device_token()
    # Somebody who goes on with a ticket gives a second factor.
    if token is None or "mfa_token" in proof.offered:
        return proof
    return replace(proof, offered={"device_token": token, **proof.offered})


def _columns_of_holder(now: datetime, proof: Proof) -> dict[str, Any]:
    """What the row says of a session that tokens hold, or a cookie."""
    has_cookie, is_remembered = cookies.is_wanted(), cookies.is_remembered()
    idle_time = (
        cookies.idle_time(is_remembered=is_remembered)
        if has_cookie
        else settings.refresh_token_lifetime
    )
    expires_at = now + min(idle_time, settings.session_max_age)
    return {
        "cookie_hash": (
            cookies.new_secret(is_remembered=is_remembered, expires_at=expires_at)
            if has_cookie
            else None
        ),
        "is_remembered": is_remembered,
        "expires_at": expires_at,
        # An access token says by itself whether it is fresh. A cookie has only the row.
        "authenticated_at": now if proof.is_fresh or not has_cookie else None,
    }


def _end_replaced(session: Session) -> int:
    """End the session of the same user whose cookie this login replaces. Returns how many.

    Nobody could use it any more, but a copy of its cookie.
    """
    secret = cookies.sent_secret() if session.cookie_hash is not None else None
    if secret is None:
        return 0
    is_held = Session.cookie_hash == random_tokens.digest(secret)
    return len(end_where(is_held, Session.user_id == session.user_id))


def _end_surplus(session: Session) -> int:
    """End the sessions above the maximum, those that were idle longest. Returns how many.

    It never ends this new session. The caller holds the lock on the user, so
    that parallel logins do this one after the other.
    """
    return len(
        SURPLUS.run(
            now=session.created_at,
            user=session.user_id,
            this=session.id,
            kept=settings.max_sessions_per_user - 1,
        )
    )
