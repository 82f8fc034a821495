"""The same calls for OAuth 2 clients."""
