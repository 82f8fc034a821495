"""Passkeys (WebAuthn level 3): a login without a password, or a second factor."""
