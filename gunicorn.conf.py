"""How the application is served: ``gunicorn wsgi:app`` reads this by itself."""

import atexit
import gc
import os
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

# Heartbeats of the workers go to memory: on a slow disk they would look dead.
worker_tmp_dir = "/dev/shm" if Path("/dev/shm").is_dir() else None


def _make_metrics_folder() -> None:
    """Where each worker counts, in files that a scrape adds up; gone when this process ends."""
    folder = tempfile.mkdtemp(prefix="user-system-metrics-", dir=worker_tmp_dir)
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = folder
    master = os.getpid()

    def remove() -> None:
        # The workers, which are forked off, come by here as well when they end.
        if os.getpid() == master:
            shutil.rmtree(folder, ignore_errors=True)

    atexit.register(remove)


# prometheus_client reads the variable when it is imported, so this comes before `app` is. On
# SIGHUP this file is read again, and the folder is in use.
if "prometheus_client" not in sys.modules:
    _make_metrics_folder()

from app.serving.reloading import serving  # noqa: E402

settings = serving.read()
bind = serving.listen_at(settings)

# gunicorn's gthread, but that slow clients cannot take all threads, nor stopping lose a request.
worker_class = "app.serving.worker.Worker"
# The system would send files by itself, and wait for the slowest.
sendfile = False
workers = settings.web_concurrency
# Those who wait for a password to be hashed have threads of their own, so that WEB_THREADS are
# left for everything else, however many log in.
threads = settings.web_threads + settings.hash_concurrency + settings.hash_queue_limit
keepalive = 75  # Longer than the idle limit of the usual proxies, so that they hang up first.

# The code is loaded once and shared by the workers; connections are opened after the fork.
preload_app = True

# Browsers and chains of proxies send 20 to 45 headers, and a cookie header may have 8 KiB. All of
# them together may have 64 KiB (MAX_HEAD_BYTES in app/serving/worker.py).
limit_request_line = 4094
limit_request_fields = 64
limit_request_field_size = 8190

# On SIGTERM no new connection is taken, and requests in flight get this long to finish.
graceful_timeout = 30
timeout = 60

# gunicorn would believe headers like SCRIPT_NAME from a proxy on this machine.
forwarder_headers = ""
forwarded_allow_ips = ""
secure_scheme_headers: dict[str, str] = {}

# Its control socket would lie in somebody's home directory; signals do here.
control_socket_disable = True

logger_class = "app.serving.access_log.AccessLogger"


def when_ready(server: Any) -> None:
    """Once, before the workers begin."""
    from app.access import limits
    from app.database import fitness
    from wsgi import app

    fitness.refuse_unfit(app)
    serving.application = server.app
    limits.announce(settings)
    # The workers share what was loaded: a collection would write to every object of it.
    gc.collect()
    gc.freeze()


def post_worker_init(worker: Any) -> None:
    """One of the workers delivers mail and one seals the audit log; commands do not."""
    from app.serving import background
    from wsgi import app

    worker.beside_requests = background.start_all(app)


def worker_exit(_server: Any, worker: Any) -> None:
    """Begin nothing that could not be finished, and give back what was taken to be delivered."""
    works = getattr(worker, "beside_requests", [])
    for stop in works:
        stop.set()
    for stop in works:
        stop.wait_for_end(graceful_timeout)


def child_exit(_server: Any, worker: Any) -> None:
    """What a worker was doing when it ended is not being done any more."""
    from app.observability import metrics

    metrics.forget_process(worker.pid)
