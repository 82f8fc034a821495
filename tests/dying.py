"""The application, but its worker is killed after the work is done and before it answers.

Served by gunicorn in a test; a request with ``X-Die`` meets that fate.
"""

import os
import signal
from collections.abc import Iterable
from typing import Any

from wsgi import app

answer = app.wsgi_app


def answer_or_die(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
    answered = answer(environ, start_response)
    if "HTTP_X_DIE" in environ:
        os.kill(os.getpid(), signal.SIGKILL)
    return answered


app.wsgi_app = answer_or_die  # type: ignore[method-assign]
