"""Logs, metrics and readiness: the application reports on itself."""
