"""A fresh session for a signed-in user who proves again who they are."""

from collections.abc import Mapping
from typing import Any

from app import audit, features
from app.access.proof import Proof
from app.audit.vocabulary import Event
from app.auth.login.authentication import check_password
from app.auth.sessions import sessions
from app.auth.sessions.handover import Handover
from app.errors import MfaRequired, WrongFactor
from app.extensions import db
from app.models import Session


def reauthenticate(session: Session, given: Mapping[str, Any]) -> Handover:
    """Make a session fresh, whose user gives a proof again. Commits.

    ``given`` holds the password, or a proof of which a feature knows. Raises
    ``WrongPassword`` or ``WrongFactor``, which do not end the session,
    ``MfaRequired`` for a password where the second step is on,
    ``RateLimited``, or ``SessionEnded`` if the session was ended while the
    proof was compared.
    """
    proof = _by_password(session, given["password"]) if "password" in given else _by(session, given)
    return confirm(session, proof)


def confirm(session: Session, proof: Proof) -> Handover:
    """Make a session fresh whose user has given this proof just now. Commits.

    Raises ``MfaRequired`` or ``SessionEnded``.
    """
    user = sessions.lock_user(session)
    if user.second_step_at and proof.aal < 2:
        db.session.rollback()
        # The feature that knows the second factors says which ones would do.
        _by(session, {})
        raise MfaRequired
    confirmed = sessions.confirm(session, proof)
    audit.record(
        Event.REAUTHENTICATED, subject_id=user.id, actor_id=user.id, session_id=str(session.id)
    )
    db.session.commit()
    return Handover(confirmed, is_fresh=True)


def _by_password(session: Session, password: str) -> Proof:
    check_password(session.user, password)
    return Proof()


def _by(session: Session, given: Mapping[str, Any]) -> Proof:
    for feature in features.active():
        if feature.prove_again:
            return feature.prove_again(session, given)
    raise WrongFactor
