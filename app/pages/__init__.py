"""The HTML pages: where mailed links lead, and the documentation of the API."""
