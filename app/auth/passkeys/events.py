"""The audit event of a passkey that may have been copied."""

from app.audit.vocabulary import declare

PASSKEY_COPIED = declare(
    "passkey_copied",
    alarming=True,
    description="A passkey that may have been copied was refused%(origin)s.",
)
