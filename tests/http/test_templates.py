"""Templates of the operator's own, in TEMPLATES_DIR."""

from pathlib import Path

import pytest
from flask import Flask, render_template

from app import create_app, read_settings
from app.mail.content import Content
from config import SettingsRefused


def app_with(tmp_path: Path, **templates: str) -> Flask:
    folder = tmp_path / "templates"
    for name, text in templates.items():
        file = folder / name.replace("__", "/").replace("_", ".")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    variables = {"TEMPLATES_DIR": str(folder), "BRAND_NAME": "Acme"}
    return create_app(read_settings(variables, instance=tmp_path / "instance"))


def test_a_template_of_ones_own_replaces_ours_and_may_extend_it(tmp_path: Path) -> None:
    app = app_with(
        tmp_path,
        mail_txt="Hello from {{ brand.name }}: {{ content.subject }}",
        mail_html='{% extends "original/mail.html" %}{% block footer %}Acme, Main St{% endblock %}',
    )

    with app.app_context():
        content = Content("<Subject>", ("A paragraph.",), reason="It was asked for.")
        text = render_template("mail.txt", content=content)
        html = render_template("mail.html", content=content)

    assert text == "Hello from Acme: <Subject>"
    assert "A paragraph." in html
    assert "Acme, Main St" in html
    assert "It was asked for." not in html


def test_a_misspelt_template_is_warned_of_and_a_part_of_ones_own_is_not(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    app_with(
        tmp_path, mails_txt="Hello", mail_html='{% include "acme.html" %}', acme_html="<p>Acme</p>"
    )

    (told,) = [each.getMessage() for each in caplog.records if each.name == "app.http.templates"]
    assert told == (
        "TEMPLATES_DIR has the template mails.txt, which replaces none of ours. "
        "Did you mean mail.txt?"
    )


def test_templates_that_are_wrong_stop_the_start_with_their_names_and_lines(
    tmp_path: Path,
) -> None:
    with pytest.raises(SettingsRefused) as refused:
        app_with(
            tmp_path,
            mail_txt="Hello\n{% if content.link %}",
            pages__login_html="{{ 'x'|no_such_filter }}",
            notes_md="{% this is not a template",
        )

    page, mail = sorted(refused.value.reasons, reverse=True)
    assert page.startswith("TEMPLATES_DIR has the template pages/login.html, which is wrong in")
    assert mail.startswith("TEMPLATES_DIR has the template mail.txt, which is wrong in line 2: ")


def test_a_template_of_a_mail_that_cannot_be_rendered_stops_the_start(tmp_path: Path) -> None:
    with pytest.raises(SettingsRefused) as refused:
        app_with(tmp_path, mail_html='{% include "missing.html" %}')

    (reason,) = refused.value.reasons
    assert "templates from which mail.html cannot be made: TemplateNotFound: missing.html" in reason
