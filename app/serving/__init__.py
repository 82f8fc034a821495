"""How gunicorn serves the application: its worker, its access log and background work."""
