"""What a WSGI server serves: ``gunicorn wsgi:app``. ``flask`` finds it as well."""

import gc

# All that is loaded here stays until the end. Looking for garbage among it, again and again and
# once more at the exit, would take a third of the time of a short command.
gc.disable()

from app import create_app  # noqa: E402

app = create_app()

gc.enable()
gc.freeze()
