"""What is known about you, and who may change it."""
