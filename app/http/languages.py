"""The languages of answers and mails."""

from collections.abc import Callable, Iterable
from pathlib import Path

from flask import Flask, g, request
from flask_babel import Babel, refresh
from werkzeug.datastructures import LanguageAccept


def init_app(app: Flask, translations: Iterable[Path]) -> None:
    """Give the application its words, and those of the features, from these folders."""
    # Where two have the same sentence the last wins, and that is ours.
    folders = [*map(str, translations), "translations"]
    # One for each application, because it remembers the words that it has read.
    Babel().init_app(
        app,
        default_locale=LOCALES[0],
        default_translation_directories=";".join(folders),
        locale_selector=_selected,
    )


def select_by(choose: Callable[[], str]) -> None:
    """Choose the language of this request in another way than by ``Accept-Language``."""
    g.choose_language = choose
    refresh()


def _selected() -> str:
    choose: Callable[[], str] | None = g.get("choose_language")
    return choose() if choose else preferred(request.accept_languages)


def preferred(accepted: LanguageAccept) -> str:
    """The first of our languages that somebody's ``Accept-Language`` asks for."""
    for wanted, quality in accepted:
        language = wanted.partition("-")[0].lower()
        # A quality of 0 means "anything but" (RFC 9110 §12.4.2).
        if language in LOCALES and quality > 0:
            return language
    return LOCALES[0]


# The languages of answers and mails. The first is the default.
LOCALES = ("en", "zh")
