"""Accounts and whole databases on the move: in from elsewhere, out, and to another database."""
