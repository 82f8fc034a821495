"""Mails. They are queued in the transaction of a change, and delivered outside the request."""
