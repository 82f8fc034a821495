"""The extensions, unbound. ``create_app`` binds them to an application."""

from collections.abc import Callable
from typing import Any

from flask_jwt_extended import JWTManager
from flask_marshmallow import Marshmallow
from flask_migrate import Migrate
from flask_smorest import Api
from flask_sqlalchemy import SQLAlchemy
from jwt.exceptions import ExpiredSignatureError
from sqlalchemy import MetaData
from sqlalchemy.orm import DeclarativeBase


class Base(DeclarativeBase):
    """Constraints get names, so that migrations can change them and errors can be told apart."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
            "pk": "pk_%(table_name)s",
        }
    )


class SingleReading(JWTManager):
    """Flask-JWT-Extended, which would take a token apart four times, and by its own rules.

    ``app/security/tokens.py`` says how a token is read; ``jwt_required()`` of
    any blueprint then reads it that way too.
    """

    read_token: Callable[..., dict[str, Any]]

    def _decode_jwt_from_config(
        self, encoded_token: str, csrf_value: object = None, allow_expired: bool = False
    ) -> dict[str, Any]:
        try:
            return self.read_token(encoded_token, allow_expired=allow_expired)
        except ExpiredSignatureError as error:
            # Flask-JWT-Extended hands these to the loader that words the refusal.
            error.jwt_header, error.jwt_data = {}, {}  # type: ignore[attr-defined]
            raise


class ProblemApi(Api):  # type: ignore[misc]  # flask-smorest has no types
    """flask-smorest without error answers of its own: ``app/errors.py`` gives them all."""

    def _register_error_handlers(self) -> None:
        pass


# Objects keep their values after a commit (no second SELECT to answer with them), and
# nothing is written before the code says so.
db = SQLAlchemy(model_class=Base, session_options={"expire_on_commit": False, "autoflush": False})
migrate = Migrate()
ma = Marshmallow()
jwt = SingleReading()
api = ProblemApi()
