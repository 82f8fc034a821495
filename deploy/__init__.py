"""The programs around the application when it runs on more than one machine."""
