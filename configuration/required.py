"""Settings that have to be set: for a key that signs, and in production."""

from configuration.table import Reading
from configuration.values import is_repetition


def refuse_without_signing_key(reading: Reading) -> None:
    for name, meaning in (
        ("SIGNING_KEYS_DIR", "the folder with the keys, each in a file <key id>.pem"),
        ("SIGNING_KEY_ID", "the id of the key that signs"),
    ):
        if not reading.is_set(name):
            reading.refuse(
                name,
                f"is not set, but ALGORITHM needs a key. Write {meaning}. "
                "`ALGORITHM=HS256 flask keys generate --help` explains how to make one.",
            )


def refuse_unfit_for_production(
    reading: Reading, *, secret_key: str, database_is_fit: bool
) -> None:
    if not reading.is_set("SECRET_KEY"):
        reading.refuse(
            "SECRET_KEY",
            "is not set, and in production the server does not make one itself. Write one made "
            'by `python3 -c "import secrets; print(secrets.token_urlsafe(48))"`.',
        )
    elif is_repetition(secret_key):
        reading.refuse("SECRET_KEY", "repeats a shorter text. Write a random one instead.")
    if not database_is_fit and not reading.is_refused("DATABASE_URL"):
        reading.refuse(
            "DATABASE_URL",
            "means SQLite, which production refuses unless you allow it. Write "
            "postgresql://user:password@host/name, or set ALLOW_SQLITE=true if one machine and "
            "one writer at a time are enough.",
        )
    if not reading.is_set("PUBLIC_URL"):
        reading.refuse(
            "PUBLIC_URL",
            "is not set. Write the address under which people reach this service, "
            "like https://accounts.example.com.",
        )
    if not reading.is_set("MAIL_FROM"):
        reading.refuse(
            "MAIL_FROM",
            "is not set, and mail servers reject mail from no-reply@localhost. Write a sender like "
            "Example <no-reply@example.com>.",
        )
