"""What ends when a credential of an account changes."""

from app import features
from app.features.credentials import CredentialChange
from app.models import User
from app.security import one_time_tokens

# These concern no mailbox, so the mailed links stay.
KEEP_LINKS = (CredentialChange.LOGGED_OUT_EVERYWHERE, CredentialChange.FACTORS_CHANGED)


def changed(user: User, change: CredentialChange) -> int:
    """End what must not outlive the change: mailed links, and what the features have.

    The caller holds a lock on the user, and commits. Returns how many of the
    links still worked. Links in notices stay.
    """
    tell_features(user, change)
    return 0 if change in KEEP_LINKS else one_time_tokens.revoke_all(user)


def tell_features(user: User, change: CredentialChange) -> None:
    """End what the features have. The caller holds a lock on the user, and commits."""
    for feature in features.active():
        if feature.credentials_changed:
            feature.credentials_changed(user, change)
