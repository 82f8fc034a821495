"""An operator may fill each block of each template of the pages, and the pages still work."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from flask import Flask

from tests.pages.scenes import SCENES
from tests.pages.scenes.visit import Visit
from tests.servers import ROOT

OURS = ROOT / "app" / "pages" / "templates"
# Each page fills these itself, and shows nothing of what the layout has in them.
FILLED_BY_PAGES = {f"layouts/base.html {block}" for block in ("title", "content", "layout")}
# It is shown where PAGES=false leaves only the pages of mailed links.
WITHOUT_PAGES = {"mailed_links/done.html title", "mailed_links/done.html content"}


@pytest.mark.postgresql
def test_each_block_of_each_template_can_be_filled(
    make_app: Callable[..., Flask], tmp_path: Path
) -> None:
    places: set[str] = set()
    for file in OURS.rglob("*.html"):
        name = str(file.relative_to(OURS))
        blocks = re.findall(r"{%-? block (\w+)", file.read_text(encoding="utf-8"))
        places |= {f"{name} {block}" for block in blocks}
        own = tmp_path / name
        own.parent.mkdir(exist_ok=True)
        filled = [
            f"{{% block {block} %}}{{{{ super() }}}}[{name} {block}]{{% endblock %}}"
            for block in blocks
        ]
        if blocks:
            own.write_text(f'{{% extends "original/{name}" %}}' + "".join(filled))
    app = make_app(TEMPLATES_DIR=str(tmp_path))
    shown = ""

    for scene in SCENES.values():
        visit = Visit(app)
        for _ in scene(visit):
            shown += visit.page.html

    missing = {place for place in places if f"[{place}]" not in shown}
    assert missing == FILLED_BY_PAGES | WITHOUT_PAGES
