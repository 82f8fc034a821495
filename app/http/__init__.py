"""Reads requests and writes answers. Knows no table and no user."""
