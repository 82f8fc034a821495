"""What administrators do with accounts and roles."""
