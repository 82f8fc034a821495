"""How the database is opened, asked and written to. Knows no request and no table."""
