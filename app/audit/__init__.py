"""The audit log: writing events, sealing, verifying, reading and erasing them."""

from app.audit.recording import note, record

__all__ = ["note", "record"]
