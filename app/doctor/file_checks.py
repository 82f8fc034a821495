"""Checks of files and their rights."""

import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path

from app import clock
from app.doctor.checks import checks
from app.extensions import db
from app.features.checks import Reason, Weight
from config import ROOT, Settings

OLDEST_SIGNING_KEY = timedelta(days=365)


READABLE_BY_OTHERS = stat.S_IRGRP | stat.S_IROTH


@checks(Weight.DANGEROUS, "Run chmod 700 on the folder and 600 on the private keys.")
def signing_keys_are_private(settings: Settings) -> str | None:
    folder = settings.signing_keys_dir
    if folder is None:
        return None
    private = [path for path in sorted(folder.glob("*.pem")) if ".until-" not in path.name]
    open_to_others = [path.name for path in private if _others_may_read(path)]
    if open_to_others:
        return Reason(
            "Other accounts of this host can read %(files)s in %(folder)s.",
            files=", ".join(open_to_others),
            folder=folder,
        )
    return None


@checks(Weight.DANGEROUS, "Run chmod 600 .env.")
def env_file_is_private(settings: Settings) -> str | None:
    path = ROOT / ".env"
    if path.is_file() and _others_may_read(path):
        return Reason(
            "Other accounts of this host can read %(path)s, which holds secrets.",
            path=path,
        )
    return None


@checks(Weight.GOOD_TO_KNOW, "Change keys in three steps; docs/keys.md has them.")
def signing_key_is_young(settings: Settings) -> str | None:
    if settings.signing_keys_dir is None or settings.algorithm == "HS256":
        return None
    path = settings.signing_keys_dir / f"{settings.signing_key_id}.pem"
    made = datetime.fromtimestamp(path.stat().st_mtime, UTC)
    if clock.now() - made > OLDEST_SIGNING_KEY:
        return Reason(
            "The key %(signing_key_id)s has been signing since %(made)s.",
            signing_key_id=settings.signing_key_id,
            made=f"{made:%Y-%m-%d}",
        )
    return None


def _others_may_read(path: Path) -> bool:
    """Whether the modes let others into the folder, and let them read the file."""
    folder = path.parent.stat().st_mode & (stat.S_IXGRP | stat.S_IXOTH)
    return bool(folder and path.stat().st_mode & READABLE_BY_OTHERS)


@checks(
    Weight.DANGEROUS,
    "Run chmod 600 on the file, and on the files beside it whose names end in -wal and -shm.",
)
def database_file_is_private(settings: Settings) -> str | None:
    path = Path(db.engine.url.database or "")
    if settings.uses_sqlite and path.is_file() and _others_may_read(path):
        return Reason(
            "Other accounts of this host can read %(path)s, which holds addresses and hashes.",
            path=path,
        )
    return None
