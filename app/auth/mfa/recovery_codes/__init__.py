"""Codes on paper, for a user who lost the second factor."""
