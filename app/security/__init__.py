"""Primitives without a route: passwords, tokens, identifiers, who may."""
