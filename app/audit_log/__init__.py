"""The audit log once it is written: sealed, verified, read, and in the end forgotten."""
