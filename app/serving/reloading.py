"""On SIGHUP the settings are read again. All of them are applied, or none if they are wrong.

gunicorn reads its configuration file again, but keeps the application that it
has loaded. So the number of threads would follow the new settings, but their
queue would not. And an error that stops a start would stop the running server.
"""

import gc
import importlib
import logging
import sys
from collections.abc import Callable
from typing import Any

from app.database import fitness
from app.observability import logs
from config import Settings, SettingsRefused

log = logging.getLogger(__name__)


class Serving:
    """The master's settings and application. There is one, as this module is loaded once."""

    def __init__(self) -> None:
        self.settings: Settings | None = None
        self.address = ""
        # gunicorn's application; it is set when the server listens.
        self.application: Any = None

    def read(self, read_settings: Callable[[], Settings]) -> Settings:
        """The settings to use. Raises ``SettingsRefused`` only at the start.

        ``read_settings`` is that of the application, which knows the settings
        of the features too.
        """
        if self.settings is None or self.application is None:
            self.settings = read_settings()
            return self.settings
        try:
            settings = read_settings()
            self._load_application()
        except (SystemExit, Exception) as flaw:
            logs.configure(self.settings)
            reasons = flaw.reasons if isinstance(flaw, SettingsRefused) else [str(flaw)]
            for reason in reasons:
                log.error("the reload is refused, and the old settings stay: %s", reason)
        else:
            self.tell_what_waits(self.settings, settings)
            self.settings = settings
            log.info("the settings were read again")
        return self.settings

    def listen_at(self, settings: Settings) -> str:
        """Where the server listens. The settings of its start decide that until it ends."""
        # Other machines can reach it only in production: a laptop in a café must not be open.
        host = "0.0.0.0" if settings.is_production else "127.0.0.1"  # noqa: S104
        self.address = self.address or f"{host}:{settings.port}"
        return self.address

    def _load_application(self) -> None:
        """Build a new application with the current settings, for the next workers."""
        # The frozen objects are not searched for garbage; some of them are garbage now.
        gc.unfreeze()
        # gunicorn may serve another module, but mail and seals always use wsgi's application.
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
                "%s changed, but the server listens at %s until it is restarted",
                " and ".join(waiting),
                self.address,
            )


serving = Serving()
