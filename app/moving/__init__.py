"""Brings accounts in from other systems, and writes accounts to files."""
