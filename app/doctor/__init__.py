"""Checks that name the weaknesses of a deployment."""
