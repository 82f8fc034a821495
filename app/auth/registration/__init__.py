"""Making accounts."""
