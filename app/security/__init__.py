"""Primitives for passwords, keys, tokens and names. Has no route and sees no request."""
