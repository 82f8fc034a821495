"""Reads settings from the environment: the text of a variable becomes a value, or a refusal.

``config.py`` lists the settings of the core. A feature lists its own in the
same way; ``table.py`` says how. Nothing here knows Flask or ``app``.
"""
