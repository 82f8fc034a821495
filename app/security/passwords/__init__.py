"""Hashing, verifying and judging passwords."""
