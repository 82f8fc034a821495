"""What stands between the first proof and a session.

Each stage is a function. It lets the user pass, perhaps with a proof that says
more, or raises ``LoginRefused``. A feature may add stages, like one that wants
a second factor: its refusal carries a ticket, and the feature's own call takes
the ticket and then makes the session.
"""

from app import features
from app.access.proof import Proof
from app.errors import EmailNotVerified, InactiveUser
from app.models import User
from config import settings


def refuse_inactive(user: User) -> None:
    if not user.is_active:
        raise InactiveUser


def refuse_unverified(user: User) -> None:
    # A user who lost the address to its former owner must log in to set another one.
    if settings.require_verified_email and not (user.email_verified or user.lost_address):
        raise EmailNotVerified


def pass_all(user: User, proof: Proof) -> Proof:
    """Let the user go through all stages, and return the proof that they made of it.

    Raises ``LoginRefused``.
    """
    refuse_inactive(user)
    refuse_unverified(user)
    for feature in features.active():
        for stage in feature.stages:
            proof = stage(user, proof)
    return proof
