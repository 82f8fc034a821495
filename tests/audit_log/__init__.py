"""The audit log once it is written."""
