"""Warn of variables that look like settings, but are not known: perhaps a name is misspelt.

A lost setting is dangerous: with ``REQUIRE_VERIFIED_EMIAL=true`` the service
would start without that rule. The environment has many variables of other
programs, so this only warns, and only of a name that resembles a known one.
``.env`` belongs to this service, so there each unknown name is a warning. A
sentence never has a value.
"""

import re
from collections import Counter
from collections.abc import Collection, Mapping
from types import MappingProxyType

NAME = re.compile(r"[A-Z][A-Z0-9_]*")
NOTHING: Mapping[str, str] = MappingProxyType({})

# Variables of programs that run beside this one, and of those that start it.
OF_OTHERS = re.compile(
    r"(FLASK|GUNICORN|WERKZEUG|PYTHON|PROMETHEUS|POSTGRES|REDIS|COMPOSE|DOCKER|KUBERNETES|TEST)_.*"
    r"|PYTHON.*|PG[A-Z]+|PASSWORD_STORE_.*|MAIL|MAILCHECK|MAILPATH|MAILTO"
)
# compose.yaml takes these from the .env that it shares with the server.
OF_COMPOSE = {"DATABASE_PASSWORD", "DATABASE_OWNER_PASSWORD", "PUBLIC_HOST"}
# Words with which names of other programs begin too, like DATABASE_HOST and LOG_DIR.
USUAL_WORDS = {"DATABASE", "LOG", "WEB", "PASSWORD"}
# What Kubernetes and Docker set for a service called "mail": MAIL_SERVICE_HOST, MAIL_PORT, ….
SERVICE = re.compile(r"([A-Z0-9_]+?)_(?:SERVICE_HOST|PORT_[0-9]+_(?:TCP|UDP)(?:_.*)?)")


def warnings(
    names: Collection[str],
    known: Collection[str],
    in_file: Collection[str] = (),
    told: Mapping[str, str] = NOTHING,
) -> tuple[str, ...]:
    """A sentence for each name that is not known and looks like a setting.

    ``names`` are those of all variables, and ``in_file`` those in ``.env``.
    ``told`` has the sentences of some names already.
    """
    # The words with which several settings begin, like RATELIMIT.
    begins = Counter(name.partition("_")[0] for name in known)
    words = {word for word, number in begins.items() if number > 1}
    services = {found[1] for name in names if (found := SERVICE.fullmatch(name))}
    sentences = (
        _of_file(name, known, words)
        if name in in_file
        else _of_process(name, known, words, services)
        for name in sorted({*names} - {*known} - {*told})
    )
    return (*told.values(), *filter(None, sentences))


def _of_process(
    name: str, known: Collection[str], words: Collection[str], services: Collection[str]
) -> str:
    if not NAME.fullmatch(name) or _is_of_service(name, services):
        return ""
    if nearest := _nearest(name, known, shortest=6):
        return _did_you_mean(name, nearest)
    word = name.partition("_")[0]
    if word in words and word not in USUAL_WORDS and not OF_OTHERS.fullmatch(name):
        return _alike(name, word, known)
    return ""


def _of_file(name: str, known: Collection[str], words: Collection[str]) -> str:
    if nearest := _nearest(name.upper(), known):
        return _did_you_mean(name, nearest)
    if OF_OTHERS.fullmatch(name) or name in OF_COMPOSE:
        return ""
    word = name.partition("_")[0]
    if word in words:
        return _alike(name, word, known)
    return f"`{name}` in .env is not a setting. docs/settings.md lists the settings."


def _did_you_mean(name: str, nearest: str) -> str:
    return f"`{name}` is not known; did you mean `{nearest}`?"


def _alike(name: str, word: str, known: Collection[str]) -> str:
    alike = ", ".join(sorted(one for one in known if one.startswith(f"{word}_")))
    return f"`{name}` is not known. The settings that begin with {word}_ are {alike}."


def _is_of_service(name: str, services: Collection[str]) -> bool:
    return any(
        re.fullmatch(rf"{service}_(PORT|SERVICE|NAME|ENV)(_.*)?", name) for service in services
    )


def _nearest(name: str, known: Collection[str], *, shortest: int = 1) -> str | None:
    """The known name that was probably meant: at most two mistakes, or its words in other order."""
    near: dict[str, int] = {}
    for one in known:
        if len(one) < shortest:
            continue
        # Two letters of a short name are too much of it.
        most = 1 if len(one) < 8 else 2
        if not _may_be_near(name, one, most):
            continue
        if sorted(one.split("_")) == sorted(name.split("_")):
            near[one] = 0
        elif (mistakes := distance(name, one)) <= most:
            near[one] = mistakes
    return min(near, key=lambda one: (near[one], one), default=None)


def _may_be_near(name: str, other: str, most: int) -> bool:
    """Whether length and letters agree, which is much faster to see than the distance."""
    return abs(len(name) - len(other)) <= most and len({*name} ^ {*other}) <= 2 * most


def distance(one: str, other: str) -> int:
    """How many letters to add, remove, replace or exchange with the next one (Damerau)."""
    before: list[int] = []
    row = list(range(len(other) + 1))
    for i, letter in enumerate(one, 1):
        before, above, row = row, before, [i]
        for j, other_letter in enumerate(other, 1):
            replaced = before[j - 1] + (letter != other_letter)
            row.append(min(before[j] + 1, row[j - 1] + 1, replaced))
            if i > 1 and j > 1 and one[i - 2 : i] == other_letter + other[j - 2]:
                row[j] = min(row[j], above[j - 2] + 1)
    return row[-1]
