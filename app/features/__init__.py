"""What an optional feature brings, as one object, and how the application takes it in."""

from app.features.checks import Check, Reason, Weight, check
from app.features.feature import ExportPart, Feature, MenuEntry, active
from app.features.keyed import KeyedRows, SealedRows

__all__ = [
    "Check",
    "ExportPart",
    "Feature",
    "KeyedRows",
    "MenuEntry",
    "Reason",
    "SealedRows",
    "Weight",
    "active",
    "check",
]
