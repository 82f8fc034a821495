"""A person's own profile, export and farewell."""
