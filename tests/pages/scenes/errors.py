"""Pages that say what went wrong, and those that lead to other ones."""

from collections.abc import Iterator

from tests.pages.scenes.visit import Visit


def not_found(visit: Visit) -> Iterator[str]:
    visit.open("/account/nothing")
    yield "empty"
    visit.send("/account/language", press="English" if visit.locale == "zh" else "中文")


def form_too_old(visit: Visit) -> Iterator[str]:
    visit.open("/account/login")
    visit.lose_the_form()
    visit.send(username="ada", password="x")
    yield "refused"
    visit.send("/account/login", press="返回表单" if visit.locale == "zh" else "Back to the form")
    yield "empty"


def entrances(visit: Visit) -> Iterator[str]:
    visit.sign_in()
    visit.open("/")
    yield "empty"
    visit.open("/.well-known/change-password")
    yield "empty"


SCENES = (not_found, form_too_old, entrances)
