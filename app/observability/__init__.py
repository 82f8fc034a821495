"""What the application tells about itself: logs, metrics and readiness."""
