"""What the tests of mail share."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.mail.letters import Letter, read_letters


@pytest.fixture
def letters(set_settings: Callable[..., None], tmp_path: Path) -> Callable[[], list[Letter]]:
    """Deliver into a folder, and read what is in it, the oldest first."""
    folder = tmp_path / "letters"
    set_settings(mail_url=f"file://{folder}")
    return lambda: read_letters(folder)
