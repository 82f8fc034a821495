"""Writes gunicorn's own messages, and one line for each request, into the application's log."""

import logging
import re
from datetime import timedelta
from typing import Any

from gunicorn.config import Config
from gunicorn.glogging import Logger

# The most characters of a path or a header that a client can put into one line.
MAX_LENGTH = 300

QUOTATION = re.compile(r"b?['\"].*", re.DOTALL)


class AccessLogger(Logger):  # type: ignore[misc]  # gunicorn has no types
    """gunicorn's logger. It logs paths without queries, and no header that may be secret."""

    def setup(self, cfg: Config) -> None:
        self.cfg = cfg
        self.error_log.propagate = True
        # Without a level of its own the logger has that of the root, which is LOG_LEVEL.
        self.access_log.setLevel(logging.NOTSET)

    def warning(self, msg: str, *args: Any, **kwargs: Any) -> None:
        """Cut the end off. gunicorn quotes there what it refuses, which may hold a token."""
        super().warning(QUOTATION.sub("…", str(msg)), *args, **kwargs)

    def exception(self, msg: str, *args: Any, **kwargs: Any) -> None:
        """Cut the query off. gunicorn names the request in which the application failed."""
        super().exception(msg, *(str(arg).partition("?")[0] for arg in args), **kwargs)

    def access(self, resp: Any, req: Any, environ: dict[str, Any], request_time: timedelta) -> None:
        self.access_log.info(
            "request",
            extra={
                "method": environ["REQUEST_METHOD"],
                "path": environ.get("PATH_INFO", "")[:MAX_LENGTH],
                "status": int(str(resp.status).split(None, 1)[0]),
                "ms": round(request_time.total_seconds() * 1000, 1),
                "bytes": getattr(resp, "sent", None),
                "ip": environ.get("REMOTE_ADDR"),
                "user_agent": _cut(environ.get("HTTP_USER_AGENT")),
                "request_id": next((v for k, v in resp.headers if k == "X-Request-ID"), None),
            },
        )


def _cut(text: str | None) -> str | None:
    return None if text is None else text[:MAX_LENGTH]
