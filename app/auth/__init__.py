"""Who are you? Registration, login, sessions."""
