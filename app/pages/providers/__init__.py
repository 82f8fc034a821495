"""The pages for signing in with other providers."""
