"""Opens, reads and writes the database. Knows no request and no table."""
