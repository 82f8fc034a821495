"""Making recovery codes, and using them up.

A code has 80 random bits, written as ``xxxx-xxxx-xxxx-xxxx`` in base32
without the letters that look like digits.
"""

import re
import secrets
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import func, select

from app import audit, clock
from app.auth import credentials
from app.auth.mfa import events, factors, messages, methods
from app.auth.mfa.errors import NoFactor
from app.auth.mfa.methods import Method
from app.auth.mfa.recovery_codes.models import RecoveryCode
from app.auth.notices import notify
from app.auth.sessions import sessions
from app.database.rows import change, discard
from app.extensions import db
from app.features.credentials import CredentialChange
from app.models import Session, User
from app.security import key_ring

COUNT = 10
CHARACTERS, GROUP = 16, 4
# Crockford's base32: no i, l, o and u.
ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"


def make_anew(session: Session) -> list[str]:
    """Make ten codes for the user of the session, and end the old ones. Commits.

    Raises ``NoFactor`` if the user has no second factor, or ``SessionEnded``.
    """
    user = sessions.lock_user(session)
    if not methods.has_factor(user.id):
        db.session.rollback()
        raise NoFactor
    made = _make(user.id)
    credentials.changed(user, CredentialChange.FACTORS_CHANGED)
    notify(messages.recovery_codes_made, user)
    audit.record(events.RECOVERY_CODES_MADE, subject_id=user.id, actor_id=user.id)
    db.session.commit()
    return made


def make_first(user_id: int) -> list[str]:
    """Codes for a user who has none. The caller commits."""
    return [] if _left(user_id) else _make(user_id)


def canonical(written: str) -> str:
    """The code as it is stored: without case, spaces and dashes."""
    return re.sub("[ -]", "", written).lower()


def _make(user_id: int) -> list[str]:
    _remove(user_id, None)
    now, key_id = clock.now(), key_ring.newest_key_id()
    made = ["".join(secrets.choice(ALPHABET) for _ in range(CHARACTERS)) for _ in range(COUNT)]
    db.session.add_all(
        RecoveryCode(user_id=user_id, code_hash=_hash(code, key_id), key_id=key_id, created_at=now)
        for code in made
    )
    db.session.flush()
    return ["-".join(re.findall("." * GROUP, code)) for code in made]


def _verify(user: User, fields: Mapping[str, Any]) -> bool:
    code = canonical(fields["recovery_code"])
    hashes = [_hash(code, key_id) for key_id in key_ring.key_ids()]
    use = (
        change(RecoveryCode)
        .where(RecoveryCode.user_id == user.id, RecoveryCode.code_hash.in_(hashes))
        .where(RecoveryCode.used_at.is_(None))
        .values(used_at=clock.now())
        .returning(RecoveryCode.id)
    )
    if db.session.scalar(use) is None:
        return False
    factors.recovery_code_used(user, left=_left(user.id))
    return True


def _remove(user_id: int, added_since: datetime | None) -> int:
    mine = [RecoveryCode.user_id == user_id]
    if added_since is not None:
        mine.append(RecoveryCode.created_at >= added_since)
    db.session.execute(discard(RecoveryCode).where(*mine))
    return 0


def _left(user_id: int) -> int:
    """How many codes work. A code whose key is gone does not."""
    unused = select(func.count()).where(RecoveryCode.user_id == user_id)
    unused = unused.where(RecoveryCode.used_at.is_(None))
    return db.session.scalar(unused.where(RecoveryCode.key_id.in_(key_ring.key_ids()))) or 0


def _describe(user_id: int) -> dict[str, Any] | None:
    made_at = db.session.scalar(
        select(func.max(RecoveryCode.created_at)).where(RecoveryCode.user_id == user_id)
    )
    return {"left": _left(user_id), "made_at": made_at} if made_at else None


def _hash(code: str, key_id: str) -> str:
    return key_ring.digest(code, key_id, purpose="recovery code")


RECOVERY_CODES = methods.declare(
    Method(
        name="recovery_code",
        field="recovery_code",
        amr="rc",
        is_factor=False,
        is_there=lambda user_id: _left(user_id) > 0,
        verify=_verify,
        remove=_remove,
        member="recovery_codes",
        describe=_describe,
        on_first_factor=make_first,
    )
)
