"""What a client is given to hold for its session: a pair of tokens, or the secret of a cookie."""

from typing import NamedTuple

from app.models import Session
from app.security import tokens
from app.security.tokens import FreshAccess, TokenPair, TokenPairForDevice


class Handover(NamedTuple):
    """A session that has begun, or has a new secret or a new generation of tokens.

    A session of a cookie needs nothing more: the answer sets the cookie. For
    another one, ``tokens_of`` makes the tokens. ``is_fresh`` says whether the
    user gave a full proof just now. ``device_token`` is the next one of a
    remembered device. ``keeps_account`` says whether the account was waiting to
    be deleted, and the login called that off.
    """

    session: Session
    is_fresh: bool
    device_token: str | None = None
    keeps_account: bool = False


def tokens_of(handover: Handover) -> TokenPair:
    """The tokens of a session that no cookie holds."""
    pair = tokens.pair_for(handover.session, fresh=handover.is_fresh)
    if handover.device_token is None:
        return pair
    with_device = TokenPairForDevice(*pair)
    with_device.device_token = handover.device_token
    return with_device


def access_of(handover: Handover) -> FreshAccess:
    """A fresh access token. The refresh token stays as it was."""
    return tokens.fresh_access_for(handover.session)
