"""The application for a WSGI server: ``gunicorn wsgi:app``. ``flask`` finds it as well."""

import gc

# Everything that is loaded here stays until the end. To search it for garbage again and again, and
# once more at the exit, would take a third of the time of a short command.
gc.disable()

from app import cli, create_app  # noqa: E402

app = create_app(for_command=cli.is_looked_for())

gc.enable()
gc.freeze()
