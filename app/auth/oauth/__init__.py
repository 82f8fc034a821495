"""Login, refresh and logout for OAuth 2 clients."""
