"""Logging in, and giving the password again."""
