"""A checkout of its own, for tests that write ``.env`` or reload what reads it."""

import shutil
from pathlib import Path

from tests.servers import ROOT

FILES = ("config.py", "wsgi.py", "gunicorn.conf.py", "Makefile", "requirements.txt")


def new_checkout(folder: Path) -> Path:
    """Copies of the files at the root; what they import is the same code."""
    for pattern in FILES:
        for path in ROOT.glob(pattern):
            shutil.copy(path, folder)
    for name in ("app", "configuration", "migrations", "tests", ".venv"):
        (folder / name).symlink_to((ROOT / name).resolve())
    return folder
