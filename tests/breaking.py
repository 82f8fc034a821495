"""The application with a call that fails while it holds what its body says.

Served by gunicorn in a test that looks for secrets in the log.
"""

from typing import Any

from flask import request
from sqlalchemy import text

from app.extensions import db
from wsgi import app


@app.post("/broken")
def broken() -> str:
    secrets: dict[str, Any] = request.get_json()
    token = request.headers["Authorization"]
    return str(len(token) / (len(secrets) - len(secrets)))


@app.post("/broken-statement")
def broken_statement() -> str:
    db.session.execute(text("SELECT * FROM nowhere WHERE secret = :password"), request.get_json())
    return ""
