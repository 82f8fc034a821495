"""Which routes are pages for people. The other ones are calls of the API."""

from collections.abc import Iterator

from flask import Flask
from werkzeug.routing import Rule


def is_page(app: Flask, rule: Rule) -> bool:
    """Whether the route is one of ``app/pages``, apart from those that describe the API."""
    blueprint = app.blueprints.get(rule.endpoint.rpartition(".")[0])
    module = blueprint.import_name if blueprint else ""
    return module.startswith("app.pages.") and module != "app.pages.api_docs"


def page_routes(app: Flask) -> Iterator[tuple[str, str]]:
    """The method and the rule of each page."""
    for rule in app.url_map.iter_rules():
        if is_page(app, rule):
            for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}:
                yield method, rule.rule
