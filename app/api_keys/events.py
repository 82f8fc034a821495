"""The audit events of API keys."""

from app.audit.vocabulary import declare

KEY_MADE = declare("key_made", description="You made an API key%(origin)s.")
KEY_CHANGED = declare("key_changed", description="You changed an API key%(origin)s.")
KEY_ROTATED = declare("key_rotated", description="You replaced an API key%(origin)s.")
KEY_REVOKED = declare("key_revoked", description="An API key was revoked%(origin)s.")
# The same, where somebody sent the key itself to the call that revokes tokens.
KEY_REPORTED = declare(
    "key_reported",
    alarming=True,
    description="Somebody who has one of your API keys revoked it%(origin)s.",
)
KEYS_ENDED = declare("keys_ended", description="All your API keys ended%(origin)s.")

EVENTS = (KEY_MADE, KEY_CHANGED, KEY_ROTATED, KEY_REVOKED, KEY_REPORTED, KEYS_ENDED)
