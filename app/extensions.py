"""The extensions, unbound. ``create_app`` binds them to an application."""

from flask_marshmallow import Marshmallow
from flask_sqlalchemy import SQLAlchemy
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


# Objects keep their values after a commit, so an answer needs no second SELECT. Nothing is
# written before the code flushes or commits.
db = SQLAlchemy(model_class=Base, session_options={"expire_on_commit": False, "autoflush": False})
ma = Marshmallow()
