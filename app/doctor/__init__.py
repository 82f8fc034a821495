"""Checks that name what is weaker than production should be."""
