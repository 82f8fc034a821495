"""SIGHUP: the settings are read again and applied to everything, or, if they are wrong, to nothing.

gunicorn reads its configuration file again, but keeps the application that it
has loaded: the number of threads would follow the settings, and the queue that
they serve would not. And what stops a start would stop the running server.
"""

import gc
import importlib
import logging
import sys
from typing import Any

from app.database import fitness
from app.observability import logs
from config import Settings, SettingsRefused

log = logging.getLogger(__name__)


class Serving:
    """What the master serves by; there is one, as this module is loaded once."""

    def __init__(self) -> None:
        self.settings: Settings | None = None
        self.address = ""
        # gunicorn's, once the server listens.
        self.application: Any = None

    def read(self) -> Settings:
        """The settings to serve by. Raises ``SettingsRefused`` at the start alone."""
        if self.settings is None or self.application is None:
            self.settings = Settings.from_environment()
            return self.settings
        try:
            settings = Settings.from_environment()
            self._load_application()
        except (SystemExit, Exception) as flaw:
            logs.configure(self.settings)
            reasons = flaw.reasons if isinstance(flaw, SettingsRefused) else [str(flaw)]
            for reason in reasons:
                log.error("the reload is refused, and the settings of before stay: %s", reason)
        else:
            self.tell_what_waits(self.settings, settings)
            self.settings = settings
            log.info("the settings were read again")
        return self.settings

    def listen_at(self, settings: Settings) -> str:
        """Where the server listens: by the settings of its start, until it ends."""
        # Other machines reach it in production alone; a laptop in a café serves itself.
        host = "0.0.0.0" if settings.is_production else "127.0.0.1"  # noqa: S104
        self.address = self.address or f"{host}:{settings.port}"
        return self.address

    def _load_application(self) -> None:
        """Build the application anew, by the settings of now; the next workers have that one."""
        # What was loaded before is not looked at for garbage any more; now some of it is.
        gc.unfreeze()
        # Another module may be served; mail and seals are wsgi's work even so.
        names = {"wsgi", self.application.app_uri.partition(":")[0]}
        modules = [sys.modules[name] for name in sorted(names)]
        before = [dict(vars(module)) for module in modules]
        try:
            for module in modules:
                importlib.reload(module)
            fitness.refuse_unfit(sys.modules["wsgi"].app)
            self.application.callable = self.application.load()
        except BaseException:
            for module, variables in zip(modules, before, strict=True):
                vars(module).update(variables)
            raise
        gc.collect()
        gc.freeze()

    def tell_what_waits(self, before: Settings, settings: Settings) -> None:
        """Name the settings that a reload does not apply."""
        waiting = [
            name
            for name, was, is_now in (
                ("PORT", before.port, settings.port),
                ("APP_ENV", before.is_production, settings.is_production),
            )
            if was != is_now
        ]
        if waiting:
            log.error(
                "%s changed, and decides where the server listens: it stays at %s until it is "
                "restarted",
                " and ".join(waiting),
                self.address,
            )


serving = Serving()
