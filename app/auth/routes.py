"""The calls under ``/auth``. Each of the folders here has its own blueprint."""

from app.auth.email.routes import bp as email
from app.auth.login.routes import bp as login
from app.auth.oauth.routes import bp as oauth
from app.auth.password.routes import bp as password
from app.auth.registration.routes import bp as registration
from app.auth.sessions.routes import bp as sessions
from app.http.blueprint import Blueprint

bp = Blueprint("auth", __name__, description="Registration, login, sessions, passwords, addresses.")

bp.register_blueprint(registration)
bp.register_blueprint(login)
bp.register_blueprint(sessions)
bp.register_blueprint(password)
bp.register_blueprint(email)
bp.register_blueprint(oauth)
