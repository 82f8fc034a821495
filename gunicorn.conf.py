"""How the application is served: ``gunicorn wsgi:app`` reads this by itself."""

import atexit
import gc
import os
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

# The workers write their heartbeats to memory: with a slow disk they would look dead.
worker_tmp_dir = "/dev/shm" if Path("/dev/shm").is_dir() else None


def _make_metrics_folder() -> None:
    """Make the folder of the workers' counters, which a scrape adds up. The master removes it."""
    folder = tempfile.mkdtemp(prefix="user-system-metrics-", dir=worker_tmp_dir)
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = folder
    master = os.getpid()

    def remove() -> None:
        # The workers are forks of the master, so each of them calls this as well when it ends.
        if os.getpid() == master:
            shutil.rmtree(folder, ignore_errors=True)

    atexit.register(remove)


# prometheus_client reads the variable when it is imported, so this comes before `app` is. On
# SIGHUP this file is read again, while the folder is in use.
if "prometheus_client" not in sys.modules:
    _make_metrics_folder()

from app import read_settings  # noqa: E402
from app.serving.reloading import serving  # noqa: E402

settings = serving.read(read_settings)
bind = serving.listen_at(settings)

# gunicorn's gthread, except that slow clients cannot take all threads, and stopping loses no
# request.
worker_class = "app.serving.worker.Worker"
# With sendfile the system would send files by itself, and wait for the slowest client.
sendfile = False
workers = settings.web_concurrency
# Requests that wait for the hash of a password have their own threads, so that WEB_THREADS are
# left for all other requests, however many people log in. One worker may have all hashing slots.
threads = settings.web_threads + settings.hash_concurrency + settings.hash_queue_limit
keepalive = 75  # Longer than the idle limit of the usual proxies, so that they hang up first.

# The code is loaded once and shared by the workers; connections are opened after the fork.
preload_app = True

# Browsers and chains of proxies send 20 to 45 headers, and a cookie header may have 8 KiB. All
# headers together may have 64 KiB (MAX_HEAD_BYTES in app/serving/worker.py).
limit_request_line = 4094
limit_request_fields = 64
limit_request_field_size = 8190

# On SIGTERM the server accepts no new connection, and running requests get this long to finish.
graceful_timeout = 30
timeout = 60

# By default gunicorn trusts headers like SCRIPT_NAME from a proxy on this machine.
forwarder_headers = ""
forwarded_allow_ips = ""
secure_scheme_headers: dict[str, str] = {}

# gunicorn's control socket would be in a home directory. Signals are enough here.
control_socket_disable = True

logger_class = "app.serving.access_log.AccessLogger"


def when_ready(server: Any) -> None:
    """Prepare the master, before the first worker starts."""
    from app.access import limits
    from app.database import fitness
    from app.mail import outbox
    from app.observability import logs
    from app.pages import registering
    from app.pages.api_docs import document
    from app.security import identifiers
    from wsgi import app

    fitness.refuse_unfit(app)
    # What the master has loaded, the workers share. These libraries are imported at their first
    # use, so that short commands start soon.
    identifiers.load()
    logs.load()
    # OpenSSL loads its ciphers at their first use.
    with app.app_context():
        outbox.unseal(outbox.seal({}))
    serving.application = server.app
    limits.announce(settings)
    registering.announce(settings)
    registering.prepare(app)
    document.written(app)
    # The workers share the memory of loaded objects. A collection would write to each object, and
    # so copy it.
    gc.collect()
    gc.freeze()


def post_worker_init(worker: Any) -> None:
    """Start the background work: one worker delivers mail, and one seals the audit log."""
    from app.serving import background
    from wsgi import app

    worker.beside_requests = background.start_all(app)


def worker_exit(_server: Any, worker: Any) -> None:
    """Stop the background work. It begins nothing new, and gives back mails not yet delivered."""
    works = getattr(worker, "beside_requests", [])
    for stop in works:
        stop.set()
    for stop in works:
        stop.wait_for_end(graceful_timeout)


def child_exit(_server: Any, worker: Any) -> None:
    """Take the work that an ended worker was doing out of the metrics."""
    from app.observability import metrics

    metrics.forget_process(worker.pid)
