"""The pages on which nobody is signed in yet, and the one that signs out."""
