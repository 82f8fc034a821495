"""How the application is served: ``gunicorn wsgi:app`` reads this by itself."""

import gc
from pathlib import Path
from select import POLLIN, poll
from typing import Any

from gunicorn.workers.gthread import ThreadWorker

from config import Settings

settings = Settings.from_environment()

# Other machines reach it in production alone; a laptop in a café serves itself.
bind = f"{'0.0.0.0' if settings.is_production else '127.0.0.1'}:{settings.port}"


class Worker(ThreadWorker):
    """gunicorn's worker with threads, which leaves nobody before a door that opens no more.

    When gunicorn's own stops, it takes no connection from the queue, but the
    socket stays open while requests in flight finish. Who connects meanwhile,
    and sends a request, is cut off at the end. This one takes who is in the
    queue and closes the socket: later ones are refused, and a proxy sends
    them to another server.
    """

    def set_accept_enabled(self, enabled: bool) -> None:
        super().set_accept_enabled(enabled)
        if self.alive:
            return
        for listener in self.sockets:
            waiting = poll()
            waiting.register(listener, POLLIN)
            while waiting.poll(0):
                self.accept(listener)
            listener.close()


worker_class = Worker
workers = settings.web_concurrency
# Those who wait for a password to be hashed have threads of their own, so that WEB_THREADS are
# left for everything else, however many log in.
threads = settings.web_threads + settings.hash_concurrency + settings.hash_queue_limit
keepalive = 75  # Longer than the idle limit of the usual proxies, so that they hang up first.

# The code is loaded once and shared by the workers; connections are opened after the fork.
preload_app = True

# On SIGTERM no new connection is taken, and requests in flight get this long to finish.
graceful_timeout = 30
timeout = 60

# Heartbeats of the workers go to memory: on a slow disk they would look dead.
worker_tmp_dir = "/dev/shm" if Path("/dev/shm").is_dir() else None

# gunicorn would believe headers like SCRIPT_NAME from a proxy on this machine.
forwarder_headers = ""
forwarded_allow_ips = ""
secure_scheme_headers: dict[str, str] = {}

# Its control socket would lie in somebody's home directory; signals do here.
control_socket_disable = True

logger_class = "app.access_log.AccessLogger"


def when_ready(_server: Any) -> None:
    """Once, before the workers begin."""
    from app import limits

    limits.announce(settings)
    # The workers share what was loaded: a collection would write to every object of it.
    gc.collect()
    gc.freeze()


def post_worker_init(worker: Any) -> None:
    """One of the workers delivers mail as well; commands that import the application do not."""
    from app.mail import deliverer
    from wsgi import app

    worker.stop_delivering = deliverer.start(app)


def worker_exit(_server: Any, worker: Any) -> None:
    """Begin no delivery that could not be finished."""
    if hasattr(worker, "stop_delivering"):
        worker.stop_delivering.set()
