"""Changing a password, and replacing one that is forgotten or stolen."""
