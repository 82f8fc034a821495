"""The second step of a login: tickets, and what all second factors have in common."""
