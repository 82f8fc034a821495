"""Read ``.env``: each line is one ``NAME=value``, and each value is taken as it is written.

Other readers of such files disagree about ``$``, a backslash and an open
quote, and most skip a line that they cannot read. A skipped line is a lost
setting: without ``APP_ENV=production`` the service would start for
development. So this one replaces nothing, and a line that it cannot read stops
the start.
"""

import os
import re
import sys
from collections.abc import Mapping
from pathlib import Path

from configuration.refusals import SettingsRefused

NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
# A tab is the only control character that a value may hold.
CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
BYTE_ORDER_MARK = b"\xef\xbb\xbf"
UTF_16_OR_32 = (b"\xff\xfe", b"\xfe\xff", b"\x00\x00\xfe\xff")


class Unreadable(ValueError):
    """The file cannot be read. The text says where, why and what to write; it quotes no value."""


def of_checkout(root: Path) -> dict[str, str]:
    """The variables in ``.env``. Raises ``SettingsRefused``."""
    try:
        return read(root / ".env")
    except Unreadable as flaw:
        raise SettingsRefused(str(flaw)) from None


def read(path: Path) -> dict[str, str]:
    """The variables in the file; empty if the file does not exist. Raises ``Unreadable``."""
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        if path.is_symlink():
            raise Unreadable(
                f"{path} is a link to a file that does not exist. Remove it, or write that file."
            ) from None
        return {}
    except IsADirectoryError:
        raise Unreadable(f"{path} is a folder. Remove it, or write a file there.") from None
    except OSError as error:
        raise Unreadable(f"{path} cannot be read: {error.strerror}.") from None
    try:
        return _parsed(content)
    except Unreadable as flaw:
        raise Unreadable(f"{path}, {flaw}") from None


def with_process(variables: Mapping[str, str]) -> dict[str, str]:
    """The variables of the file and of the process. The process wins where both have one."""
    added = _added_by_flask(variables)
    return dict(variables) | {k: v for k, v in os.environ.items() if k not in added}


def _parsed(content: bytes) -> dict[str, str]:
    if content.startswith(UTF_16_OR_32):
        raise Unreadable("line 1: the file is UTF-16 or UTF-32. Save it as plain text in UTF-8.")
    found: dict[str, str] = {}
    lines: dict[str, int] = {}
    for number, line in enumerate(content.removeprefix(BYTE_ORDER_MARK).split(b"\n"), 1):
        try:
            assignment = _assignment(line.removesuffix(b"\r"))
        except Unreadable as flaw:
            raise Unreadable(f"line {number}: {flaw}") from None
        if assignment is None:
            continue
        name, value = assignment
        if name in found:
            raise Unreadable(
                f"line {number}: {name} is already set in line {lines[name]}. Remove one."
            )
        found[name], lines[name] = value, number
    return found


def _assignment(encoded: bytes) -> tuple[str, str] | None:
    """The name and the value in a line, or ``None`` if it is empty or a comment."""
    try:
        line = encoded.decode()
    except UnicodeDecodeError:
        raise Unreadable("it is not UTF-8. Save the file as plain text in UTF-8.") from None
    if CONTROL.search(line):
        raise Unreadable("it has a control character. Save the file as plain text in UTF-8.")
    line = line.strip(" \t")
    if not line or line.startswith("#"):
        return None
    # With ``export`` in front, a shell can read the file too.
    written = re.sub(r"^export[ \t]+", "", line)
    name, equals, value = written.partition("=")
    name = name.rstrip(" \t")
    if not equals:
        raise Unreadable("it has no =. Write NAME=value, or # before a comment.")
    if not NAME.fullmatch(name):
        raise Unreadable(
            "the text before the = is not a name. Write letters, digits and _, like PORT=8000."
        )
    return name, _value(value)


def _value(written: str) -> str:
    """The value behind the ``=``, without its quotes and without a comment after it."""
    value = written.lstrip(" \t")
    quote = value[:1]
    if quote not in ("'", '"'):
        # As in a shell, # begins a comment only after a space: a password may have one in it.
        return re.sub(r"[ \t]+#.*", "", written).strip(" \t")
    inside, closing, rest = value[1:].partition(quote)
    if not closing:
        raise Unreadable(f"the quote {quote} is not closed. Close it in the same line.")
    if not re.fullmatch(r"[ \t]*|[ \t]+#.*", rest):
        raise Unreadable(
            f"there is text after the closing quote {quote}. Remove it, or put the value into the "
            "other kind of quotes."
        )
    return inside


def source_of(name: str, variables: Mapping[str, str]) -> str:
    """Where the value of a variable comes from. An empty one counts as not set."""
    if name in os.environ and name not in _added_by_flask(variables):
        return "environment" if os.environ[name] else "default"
    return ".env" if variables.get(name) else "default"


def _added_by_flask(variables: Mapping[str, str]) -> set[str]:
    """The names that the command ``flask`` itself added to the environment.

    If python-dotenv is installed, ``flask`` reads the same file before us, by
    python-dotenv's rules. On Linux the kernel still knows the variables that
    the process was started with.
    """
    if os.environ.get("FLASK_RUN_FROM_CLI") != "true" or "dotenv" not in sys.modules:
        return set()
    try:
        started_with = Path("/proc/self/environ").read_bytes().split(b"\0")
    except OSError:
        return set()
    names = {os.fsdecode(variable.partition(b"=")[0]) for variable in started_with}
    return set(variables) - names
