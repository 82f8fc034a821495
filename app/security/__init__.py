"""Primitives for passwords, keys, tokens and names. It has no routes and sees no requests."""
