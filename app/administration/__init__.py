"""Administrators manage accounts and roles."""
