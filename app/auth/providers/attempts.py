"""Sign-ins that are under way: begun at one browser, answered once, and perhaps waiting.

The browser holds one secret in a cookie. The nonce and the PKCE verifier of an
attempt are made of that secret and of ``state``, so they are stored nowhere,
and somebody who reads the database can finish no sign-in.
"""

import base64
import hashlib
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum

from sqlalchemy import ColumnElement, exists, select

from app import clock
from app.access import cookies
from app.access.proof import Proof
from app.auth.providers.errors import AttemptInvalid
from app.auth.providers.models import Attempt
from app.auth.providers.settings import Provider
from app.auth.providers.visitor import Visitor
from app.database.rows import change, delete_batch, discard
from app.extensions import db
from app.models import Session, User
from app.security import random_tokens

# As long as the browser holds the cookie.
LIFETIME = timedelta(minutes=10)


class Purpose(StrEnum):
    """What a sign-in with a provider is for. The answer serves no other purpose."""

    LOGIN = "login"
    LINK = "link"
    REAUTHENTICATE = "reauthenticate"
    NATIVE = "native"


@dataclass(frozen=True)
class Secrets:
    """The secrets of an attempt. Only its browser can make the nonce and the verifier."""

    state: str
    browser: str

    @property
    def nonce(self) -> str:
        return random_tokens.digest(f"nonce.{self.state}.{self.browser}")

    @property
    def verifier(self) -> str:
        """The code verifier of PKCE (RFC 7636 §4.1)."""
        return random_tokens.digest(f"verifier.{self.state}.{self.browser}")

    @property
    def challenge(self) -> str:
        """The code challenge of the verifier, by the method ``S256`` (RFC 7636 §4.2)."""
        digest = hashlib.sha256(self.verifier.encode()).digest()
        return base64.urlsafe_b64encode(digest).decode().rstrip("=")


def begin(
    provider: Provider,
    purpose: Purpose,
    browser: str,
    *,
    session: Session | None = None,
    next_path: str = "/account",
) -> Secrets:
    """Begin a sign-in at a browser. Commits. ``session`` is that of a signed-in person."""
    state = random_tokens.make()
    _add(
        provider,
        purpose,
        state_hash=random_tokens.digest(state),
        browser_hash=random_tokens.digest(browser),
        session_id=session.id if session else None,
        user_id=session.user_id if session else None,
        next_path=next_path,
    )
    return Secrets(state, browser)


def begin_native(provider: Provider) -> str:
    """A nonce for a native application, which the provider puts into the token. Commits."""
    nonce = random_tokens.make()
    _add(provider, Purpose.NATIVE, state_hash=random_tokens.digest(nonce))
    return nonce


def use_up(provider: Provider, state: str, browser: str) -> Attempt:
    """The attempt that this answer of the provider belongs to. Commits.

    Of several answers with one ``state``, the database lets one find the row.
    An answer at another browser or provider finds none, and uses nothing up.
    Raises ``AttemptInvalid``.
    """
    return _use_up(
        provider,
        state,
        Attempt.browser_hash == random_tokens.digest(browser),
        Attempt.purpose != Purpose.NATIVE,
    )


def use_up_nonce(provider: Provider, nonce: str) -> None:
    """Use up the nonce of a native application. Commits. Raises ``AttemptInvalid``."""
    _use_up(provider, nonce, Attempt.purpose == Purpose.NATIVE)


def hold(attempt: Attempt, visitor: Visitor, *, user_id: int | None) -> None:
    """Keep what the provider said until the person has done the next thing. Commits.

    ``user_id`` is the account that has the address.
    """
    kept = (
        change(Attempt)
        .where(Attempt.id == attempt.id)
        .values(
            user_id=user_id,
            issuer=visitor.issuer,
            subject=visitor.subject,
            label=visitor.label,
            username=visitor.username[:50],
            email=visitor.email,
            is_email_proved=visitor.is_email_proved,
            expires_at=clock.now() + LIFETIME,
        )
    )
    db.session.execute(kept)
    db.session.commit()


def waiting(provider: Provider, browser: str | None) -> Attempt:
    """The newest sign-in at this browser that waits for its person. Raises ``AttemptInvalid``."""
    newest = (
        select(Attempt)
        .where(_waits_at(browser or ""))
        .where(Attempt.provider == provider.name, Attempt.issuer == provider.issuer)
        .order_by(Attempt.id.desc())
        .limit(1)
    )
    found: Attempt | None = db.session.scalar(newest)
    if found is None:
        raise AttemptInvalid
    return found


def visitor_of(attempt: Attempt) -> Visitor:
    """The person who was kept."""
    return Visitor(
        issuer=attempt.issuer or "",
        subject=attempt.subject or "",
        label=attempt.label or "",
        username=attempt.username or "",
        email=attempt.email,
        is_email_proved=attempt.is_email_proved,
    )


def finish(attempt: Attempt) -> None:
    """Use up what was kept. The caller commits.

    Raises ``AttemptInvalid``, and rolls back, if another request was faster.
    """
    end = discard(Attempt).where(Attempt.state_hash == attempt.state_hash, _waits())
    if db.session.scalar(end.returning(Attempt.id)) is None:
        db.session.rollback()
        raise AttemptInvalid


def is_awaited(browser: str) -> bool:
    """Whether a sign-in at this browser waits for the owner of an account."""
    awaited = exists().where(_waits_at(browser), Attempt.user_id.is_not(None))
    return bool(db.session.scalar(awaited.select()))


def leave_to(user: User, proof: Proof) -> Proof:
    """End what waits at the browser of a login, unless it waits for this user.

    It may be somebody else's. This is a stage of the login, which commits.
    """
    if browser := cookies.sent_attempt():
        of_others = Attempt.user_id.is_distinct_from(user.id)
        db.session.execute(discard(Attempt).where(_waits_at(browser), of_others))
    return proof


def prune(limit: int) -> int:
    """Forget up to ``limit`` sign-ins whose time is over. Commits."""
    end = Attempt.expires_at
    return delete_batch(Attempt, end < clock.now(), oldest=end, limit=limit)


def _add(provider: Provider, purpose: Purpose, **columns: object) -> None:
    now = clock.now()
    attempt = Attempt(
        provider=provider.name,
        purpose=purpose.value,
        created_at=now,
        expires_at=now + LIFETIME,
        **{"next_path": "/account", **columns},
    )
    db.session.add(attempt)
    db.session.commit()


def _use_up(provider: Provider, state: str, *which: ColumnElement[bool]) -> Attempt:
    now = clock.now()
    use = (
        change(Attempt)
        .where(Attempt.state_hash == random_tokens.digest(state), *which)
        .where(Attempt.provider == provider.name)
        .where(Attempt.used_at.is_(None), Attempt.expires_at > now)
        .values(used_at=now)
        .returning(Attempt)
    )
    attempt: Attempt | None = db.session.scalar(use)
    db.session.commit()
    if attempt is None:
        raise AttemptInvalid
    return attempt


def _waits_at(browser: str) -> ColumnElement[bool]:
    return (Attempt.browser_hash == random_tokens.digest(browser)) & _waits()


def _waits() -> ColumnElement[bool]:
    return Attempt.subject.is_not(None) & (Attempt.expires_at > clock.now())
