"""The OpenAPI document of the calls, as flask-smorest makes it."""

from collections.abc import Callable
from threading import Lock
from typing import Any

import flask
from flask_smorest import Api

from app.http.blueprint import is_documented


class ProblemApi(Api):  # type: ignore[misc]  # flask-smorest has no types
    """flask-smorest without its own error answers: ``app/http/problems.py`` makes them all.

    It describes the calls when somebody asks for the document. That takes as long as all else that
    an application does at its start, and commands do not need it.
    """

    def init_app(self, app: flask.Flask, **options: Any) -> None:
        self._waiting: list[Callable[[], None]] = []
        self._one_at_a_time = Lock()
        super().init_app(app, **options)

    def describe_later(self, describe: Callable[[], None]) -> None:
        """Call a function that adds to ``spec`` before the document is written."""
        self._waiting.append(describe)

    def document(self) -> dict[str, Any]:
        """What flask-smorest writes of the application."""
        with self._one_at_a_time:
            while self._waiting:
                self._waiting.pop(0)()
        document: dict[str, Any] = self.spec.to_dict()
        return document

    def _register_error_handlers(self) -> None:
        pass


def init_app(app: flask.Flask) -> ProblemApi:
    """Begin the document of an application. Each one has its own."""
    api = app.extensions["openapi"] = ProblemApi()
    api.init_app(app)
    return api


def api_of(app: flask.Flask) -> ProblemApi:
    api: ProblemApi = app.extensions["openapi"]
    return api


def register_page(app: flask.Flask, page: flask.Blueprint) -> None:
    """Register pages at their own paths. Those that answer JSON are in the OpenAPI document."""
    (api_of(app) if is_documented(page) else app).register_blueprint(page)
