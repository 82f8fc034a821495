"""Flask-Migrate, for ``flask db`` and for programs that upgrade a database.

It loads Alembic, which takes a short command longer than the whole of Flask.
So commands import this module only if they migrate.
"""

from alembic.config import Config
from flask import Flask
from flask_migrate import Migrate

from app.database import branches
from app.extensions import db

migrate = Migrate()


def init_app(app: Flask) -> None:
    migrate.init_app(app, db, directory=str(branches.MIGRATIONS), render_as_batch=True)


@migrate.configure  # type: ignore[untyped-decorator]  # Flask-Migrate has no types
def _name_every_folder(configuration: Config) -> Config:
    configuration.set_main_option("path_separator", "newline")
    configuration.set_main_option(
        "version_locations",
        "\n".join(str(place) for place in branches.places()).replace("%", "%%"),
    )
    return configuration
