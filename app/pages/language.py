"""The language of a page: that of the account, of the cookie ``locale``, or of the browser."""

from dataclasses import dataclass

from flask import Response, g, request

from app.access import limits
from app.http import languages
from app.http.languages import LOCALES
from app.users import profile
from config import settings

COOKIE = "locale"
LIFETIME_SECONDS = 365 * 24 * 60 * 60
NAMES = {"en": "English", "zh": "中文"}
# For the attribute `lang`, by which browsers choose fonts and hyphenation.
TAGS = {"zh": "zh-Hans"}


@dataclass(frozen=True)
class Shown:
    """The language of this page, and the other ones with their own names."""

    locale: str
    tag: str
    # Locale, tag and name.
    others: tuple[tuple[str, str, str], ...]
    # Locale and name, for a field.
    choices: tuple[tuple[str, str], ...]
    # Whether this server has the page that switches.
    has_switch: bool


def choose() -> None:
    """Let the words of this request be in the language of its pages."""
    languages.select_by(current)


def current() -> str:
    session = g.get("session")
    if "switched_language" in g:
        return str(g.switched_language)
    if session:
        return str(session.user.locale)
    kept = request.cookies.get(COOKIE)
    return kept if kept in LOCALES else languages.preferred(request.accept_languages)


def shown() -> Shown:
    locale = current()
    others = ((one, tag_of(one), NAMES[one]) for one in LOCALES if one != locale)
    return Shown(
        locale,
        tag_of(locale),
        others=tuple(others),
        choices=tuple(NAMES.items()),
        has_switch=settings.pages,
    )


def switch(locale: str) -> None:
    """Speak another language from now on. Commits.

    It is written to the account of a signed-in user too, because the language
    of the account comes before the cookie.
    """
    session = g.get("session")
    if session:
        limits.spend_write(session.user_id)
        profile.edit(session, {"locale": locale})
    g.switched_language = locale
    choose()


def keep(response: Response) -> Response:
    """Let the browser remember the language to which this request switched."""
    response.set_cookie(
        COOKIE,
        current(),
        max_age=LIFETIME_SECONDS,
        secure=settings.public_url.startswith("https://"),
        httponly=True,
        samesite="Lax",
    )
    return response


def tag_of(locale: str) -> str:
    return TAGS.get(locale, locale)
