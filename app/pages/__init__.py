"""The HTML pages: one for the links in mails, and one that documents the API."""
