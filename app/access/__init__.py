"""Who may do something, and how often."""
