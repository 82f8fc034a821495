"""Passwords: how they are hashed and verified, and which of them may be set."""
