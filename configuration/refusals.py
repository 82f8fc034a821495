"""How a wrong setting is refused."""


class Wrong(ValueError):
    """A value is wrong. The text says why and what to write; the caller adds the name."""


class SettingsRefused(SystemExit):
    """The process cannot start with these settings. It prints the reasons and exits with 1."""

    def __init__(self, *reasons: str) -> None:
        self.reasons = list(reasons)
        super().__init__("\n".join(f"Cannot start: {reason}" for reason in reasons))
