"""The second step: after the first proof of a login, and when a signed-in user proves it again."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from functools import partial
from typing import Any

from app import clock
from app.access.limits import spend
from app.access.proof import Proof
from app.audit import recording
from app.auth.login import login, throttle
from app.auth.login.throttle import Kind
from app.auth.mfa import events, messages, methods, tickets
from app.auth.mfa.limits import FACTOR, FACTOR_NETWORK
from app.auth.mfa.methods import Method
from app.auth.notices import notify_with
from app.auth.oauth.oauth import missing_in
from app.auth.sessions import sessions
from app.auth.sessions.handover import Handover, tokens_of
from app.database.rows import lock
from app.errors import MfaRequired, RateLimited, WrongFactor
from app.extensions import db
from app.features.feature import Stage
from app.http import client
from app.mail import outbox
from app.models import Session, User
from app.observability import metrics
from app.security import one_time_tokens
from app.security.one_time_tokens import Purpose
from app.security.tokens import TokenPair

# After this many wrong codes the owner is told that somebody knows the password.
ALARMING_TRIES = 5
# The name that the libraries of Auth0 send.
OTP_GRANT = "http://auth0.com/oauth/grant-type/mfa-otp"

_when_proved: list[Stage] = []


def when_proved(extend: Stage) -> None:
    """Call this with each user who gave a second factor at a login, before the session begins."""
    if extend not in _when_proved:
        _when_proved.append(extend)


def stage(user: User, proof: Proof) -> Proof:
    """Ask for a second proof where the account's second step is on.

    A proof that was sent along is compared at once. Raises ``MfaRequired`` or
    ``WrongFactor`` with a ticket, ``MfaTicketInvalid`` or ``RateLimited``.
    What a right proof changes is committed with the session.
    """
    token = proof.offered.get("mfa_token")
    if token is None:
        if proof.aal == 2 or user.second_step_at is None:
            return proof
        token = tickets.issue(user, proof)
    method = methods.offered_in(proof.offered)
    if method is None:
        raise MfaRequired(
            mfa_token=token,
            expires_in=int(tickets.LIFETIME.total_seconds()),
            methods=methods.usable_by(user.id),
        )
    with counted(method):
        return _prove(user, token, method, proof)


def go_on(fields: Mapping[str, Any]) -> Handover:
    """Finish a login with a ticket and a second proof. Commits.

    Raises ``MfaTicketInvalid``, ``WrongFactor``, ``RateLimited``, and what
    ``login.start`` raises.
    """
    ticket = tickets.find(fields["mfa_token"])
    first = Proof(ticket.signed_in_by, tuple(ticket.amr.split()), offered=fields)
    return login.start(ticket.user, first)


def grant(form: Mapping[str, str]) -> TokenPair:
    """The same for an OAuth client. Raises ``InvalidRequest`` for a field that is missing."""
    if "mfa_token" not in form or "otp" not in form:
        raise missing_in(form, "mfa_token", "otp")
    return tokens_of(go_on({"mfa_token": form["mfa_token"], "otp": form["otp"]}))


def prove_again(session: Session, fields: Mapping[str, Any]) -> Proof:
    """Compare the second proof of a signed-in user. The caller commits.

    Raises ``WrongFactor``, ``RateLimited`` or ``SessionEnded``, and ``MfaRequired``
    with the kinds of proofs that the user can give, if there is none in ``fields``.
    """
    method = methods.offered_in(fields)
    if method is None:
        raise MfaRequired(methods=methods.usable_by(session.user_id))
    with counted(method):
        return _prove_again(session, method, fields)


def _prove_again(session: Session, method: Method, fields: Mapping[str, Any]) -> Proof:
    count_try(session.user)
    user = sessions.lock_user(session)
    if not method.verify(user, {**fields, "purpose": "reauthenticate", "subject": session.id}):
        db.session.rollback()
        _record_failure(session.user_id, method)
        db.session.commit()
        raise WrongFactor
    throttle.forgive_factor(user)
    return Proof(amr=()).raised(method.amr)


@contextmanager
def counted(method: Method) -> Iterator[None]:
    """Count a second proof in the metrics, by its result: right, wrong or throttled."""
    try:
        yield
    except (WrongFactor, RateLimited) as refusal:
        result = "wrong" if isinstance(refusal, WrongFactor) else "throttled"
        metrics.SECOND_FACTORS.labels(method.name, result).inc()
        raise
    metrics.SECOND_FACTORS.labels(method.name, "right").inc()


def count_try(user: User) -> None:
    """Count a second proof as wrong, before anybody looks at it. Commits.

    Raises ``RateLimited``.
    """
    spend(FACTOR_NETWORK, client.current().network)
    spend(FACTOR, str(user.id))
    with throttle.attempt(user, Kind.FACTOR):
        pass


def _prove(user: User, token: str, method: Method, proof: Proof) -> Proof:
    count_try(user)
    ticket = tickets.spend_try(token)
    owner = tickets.lock_owner(ticket, user.id)
    # A change of the credentials at the same moment may have deleted the ticket.
    tries_left = ticket.tries_left
    if not method.verify(owner, {**proof.offered, "purpose": "mfa", "subject": ticket.id}):
        db.session.rollback()
        _record_failure(user.id, method)
        _alarm(user.id)
        db.session.commit()
        raise WrongFactor(mfa_token=token, tries_left=tries_left)
    tickets.redeem(ticket)
    throttle.forgive_factor(owner)
    proof = proof.raised(method.amr)
    for extend in _when_proved:
        proof = extend(owner, proof)
    return proof


def _alarm(user_id: int) -> None:
    """Tell the owner that somebody knows the password and guesses codes. The caller commits."""
    # Several guesses at once each see the tries of all, so nobody can skip the fifth. They take
    # turns, so that there is one mail.
    owner = lock(User, User.id == user_id)
    tries = tickets.tries_in_vain(user_id)
    if owner is None or tries.number < ALARMING_TRIES:
        return
    within = clock.now() - tries.since + timedelta(seconds=1)
    if not outbox.queued_lately(owner.email, messages.wrong_codes, within=within):
        notify_with(partial(_reset_token, owner), messages.wrong_codes, owner)


def _reset_token(user: User) -> str:
    return one_time_tokens.issue(user.id, Purpose.PASSWORD_RESET, email=user.email)


def _record_failure(user_id: int, method: Method) -> None:
    """The caller commits."""
    recording.record_attempt(events.FACTOR_FAILED, subject_id=user_id, method=method.name)
