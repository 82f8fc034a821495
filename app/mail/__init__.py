"""Queues mails with the change that they tell of, and delivers them outside the request."""
