"""The secret of this checkout: made at the first start, and kept in a file outside production."""

import os
import secrets
from pathlib import Path

from configuration.refusals import SettingsRefused, Wrong
from configuration.values import secret_key


def kept_secret(instance: Path) -> str:
    """The secret in the folder. Several starts may race to make it."""
    kept = instance / "secret_key"
    try:
        if not kept.exists():
            _keep_new_secret(kept)
        return secret_key(kept.read_text().strip() or "empty")
    except (OSError, Wrong) as error:
        reason = f"SECRET_KEY is not set, and the one kept in {kept} cannot be used: {error}"
        raise SettingsRefused(reason) from None


def _keep_new_secret(kept: Path) -> None:
    kept.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    made = kept.with_name(f"{kept.name}.{secrets.token_hex(8)}")
    with os.fdopen(os.open(made, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(secrets.token_urlsafe(48))
    # The link shows a complete file from the first moment, and only one process can make it.
    try:
        os.link(made, kept)
    except FileExistsError:
        pass
    finally:
        made.unlink()
