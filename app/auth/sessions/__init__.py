"""Refreshing, listing and ending sessions."""
