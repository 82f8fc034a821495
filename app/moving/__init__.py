"""Accounts in from other systems, and out to files."""
