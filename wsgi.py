"""What a WSGI server serves: ``gunicorn wsgi:app``. ``flask`` finds it as well."""

from app import create_app

app = create_app()
