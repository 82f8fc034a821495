"""Registration, login, sessions, passwords and addresses."""
