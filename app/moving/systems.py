"""How the rows of other systems read here: one function for each.

Each turns a row as that system exports it into one of ``AccountSchema``. A
row without ``username`` gets one derived. Raises ``UnfitRow`` for what is no
account that could be taken over.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from app import clock
from app.moving import files
from app.moving.files import UnfitRow

RowOf = dict[str, Any]

TRUE, FALSE = ("true", "t", "1", "yes", "y"), ("false", "f", "0", "no", "n", "")
NATIVE_FLAGS = ("is_active", "is_superuser", "email_verified")


@dataclass(frozen=True)
class Particulars:
    """What has to be known of the other system besides its rows."""

    is_csv: bool = False
    # Flask-Security: SECURITY_PASSWORD_SINGLE_HASH was true there.
    single_hash: bool = False
    # Auth0 exports password hashes apart, by the id of their user.
    password_hashes: dict[str, str] = field(default_factory=dict)
    # Firebase: the project's hash parameters; these are what every project has by default.
    firebase_rounds: int = 8
    firebase_memory_cost: int = 14
    firebase_salt_separator: str = "Bw=="


def native(row: RowOf, about: Particulars) -> RowOf:
    """What ``flask users export`` writes."""
    if not about.is_csv:
        return row
    account = files.from_cells(row)
    for flag in NATIVE_FLAGS:
        if account.get(flag) in ("true", "false"):
            account[flag] = account[flag] == "true"
    # An empty cell is null where there can be one, and elsewhere as good as no column.
    kept = ("full_name", "bio", "avatar_url", "updated_at", "deletion_due_at", "hashed_password")
    return {name: value for name, value in account.items() if value is not None or name in kept}


def fastapi_users(row: RowOf, _about: Particulars) -> RowOf:
    return {
        "id": row.get("id"),
        "email": row.get("email"),
        "username": _text(row.get("username")),
        "hashed_password": _text(row.get("hashed_password")),
        "is_active": _flag(row.get("is_active", True)),
        "is_superuser": _flag(row.get("is_superuser")),
        "email_verified": _flag(row.get("is_verified")),
        "created_at": _text(row.get("created_at")),
    }


def flask_security(row: RowOf, about: Particulars) -> RowOf:
    stored = _text(row.get("password"))
    if stored and not stored.startswith(("plaintext", "{")):
        tag = "flask-security-single$" if about.single_hash else "flask-security$"
        stored = tag + stored
    return {
        "id": row.get("id"),
        "email": row.get("email"),
        "username": _text(row.get("username")),
        "hashed_password": stored,
        "is_active": _flag(row.get("active", True)),
        "email_verified": _text(row.get("confirmed_at")) is not None,
        "created_at": _text(row.get("create_datetime")),
    }


def django(row: RowOf, _about: Particulars) -> RowOf:
    """The table ``auth_user``, or what ``dumpdata`` makes of it or of a user model of one's own."""
    values = row.get("fields", row)
    if not isinstance(values, dict) or "password" not in values:
        raise UnfitRow("no_account", "is a row of another model")
    stored = _text(values.get("password"))
    return {
        "id": row.get("pk", values.get("id")),
        "email": values.get("email"),
        "username": _text(values.get("username")),
        "full_name": _joined(values.get("first_name"), values.get("last_name")),
        # set_unusable_password writes a password that begins with an exclamation mark.
        "hashed_password": None if stored and stored.startswith("!") else stored,
        "is_active": _flag(values.get("is_active", True)),
        "is_superuser": _flag(values.get("is_superuser")),
        "created_at": _text(values.get("date_joined")),
    }


def supabase(row: RowOf, _about: Particulars) -> RowOf:
    """The table ``auth.users``."""
    if _text(row.get("deleted_at")):
        raise UnfitRow("deleted", "was deleted there")
    told = _object(row.get("raw_user_meta_data"))
    banned_until = _instant(row.get("banned_until"))
    return {
        "id": row.get("id"),
        "email": row.get("email"),
        "username": _first(told, "username", "user_name", "preferred_username"),
        "full_name": _first(told, "full_name", "name"),
        "avatar_url": _first(told, "avatar_url", "picture"),
        "hashed_password": _text(row.get("encrypted_password")),
        "is_active": banned_until is None or banned_until <= clock.now(),
        "email_verified": _text(row.get("email_confirmed_at")) is not None,
        "created_at": _text(row.get("created_at")),
    }


def auth0(row: RowOf, about: Particulars) -> RowOf:
    """A user of the export extension, or a line of the password hashes that support sends."""
    user_id = _auth0_id(row)
    name = _text(row.get("name"))
    return {
        "id": user_id,
        "email": row.get("email"),
        "username": _text(row.get("username")),
        # Auth0 takes the address for a name where it has no better one.
        "full_name": None if name == row.get("email") else name,
        "avatar_url": _text(row.get("picture")),
        "hashed_password": _text(row.get("passwordHash"))
        or about.password_hashes.get(user_id or ""),
        "is_active": not _flag(row.get("blocked")),
        "email_verified": _flag(row.get("email_verified")),
        "created_at": _text(row.get("created_at")),
    }


def auth0_password_hash(row: RowOf) -> tuple[str, str] | None:
    """Whose hash a line of the file of hashes is, and the hash."""
    user_id, stored = _auth0_id(row), _text(row.get("passwordHash"))
    return (user_id, stored) if user_id and stored else None


def _auth0_id(row: RowOf) -> str | None:
    if user_id := _text(row.get("user_id")):
        return user_id
    own = _object(row.get("_id")).get("$oid")
    return f"auth0|{own}" if own else None


def firebase(row: RowOf, about: Particulars) -> RowOf:
    """An element of ``users`` of ``firebase auth:export``."""
    stored, salt = _text(row.get("passwordHash")), _text(row.get("salt"))
    if stored and salt:
        parameters = (
            about.firebase_rounds,
            about.firebase_memory_cost,
            about.firebase_salt_separator,
        )
        parts = ("firebase-scrypt", *parameters, _plain_base64(salt), _plain_base64(stored))
        stored = "$".join(map(str, parts))
    created = _text(row.get("createdAt"))
    return {
        "id": row.get("localId"),
        "email": row.get("email"),
        "full_name": _text(row.get("displayName")),
        "avatar_url": _text(row.get("photoUrl")),
        "hashed_password": stored,
        "is_active": not _flag(row.get("disabled")),
        "email_verified": _flag(row.get("emailVerified")),
        "created_at": _from_milliseconds(created) if created else None,
    }


SYSTEMS: dict[str, Callable[[RowOf, Particulars], RowOf]] = {
    "native": native,
    "fastapi-users": fastapi_users,
    "flask-security": flask_security,
    "django": django,
    "supabase": supabase,
    "auth0": auth0,
    "firebase": firebase,
}


def _flag(value: Any) -> bool:
    """JSON's, Python's and PostgreSQL's ways to write a boolean; none at all is false."""
    if value is None or isinstance(value, bool):
        return bool(value)
    word = str(value).lower()
    if word not in TRUE + FALSE:
        raise UnfitRow("malformed", f"has {word[:20]!r} for a boolean")
    return word in TRUE


def _text(value: Any) -> str | None:
    """``None`` for what is empty, as CSV knows no null."""
    if value is None or value == "":
        return None
    return value.strip() if isinstance(value, str) else str(value)


def _joined(*names: Any) -> str | None:
    return " ".join(filter(None, map(_text, names))) or None


def _first(told: RowOf, *names: str) -> str | None:
    texts = (told.get(name) for name in names)
    return next((text.strip() for text in texts if isinstance(text, str) and text.strip()), None)


def _object(value: Any) -> RowOf:
    """A JSON object, also one that is written into a text, as in CSV."""
    if isinstance(value, str):
        try:
            value = json.loads(value or "{}")
        except (ValueError, RecursionError):
            raise UnfitRow("malformed", "has a cell that is no JSON") from None
    return value if isinstance(value, dict) else {}


def _instant(value: Any) -> datetime | None:
    text = _text(value)
    if text is None:
        return None
    try:
        instant = datetime.fromisoformat(text)
    except ValueError:
        raise UnfitRow("malformed", "has a time that is none") from None
    return instant if instant.tzinfo else instant.replace(tzinfo=UTC)


def _from_milliseconds(text: str) -> str | None:
    try:
        return datetime.fromtimestamp(int(text) / 1000, UTC).isoformat()
    except (ValueError, OverflowError, OSError):
        return None


def _plain_base64(text: str) -> str:
    """Firebase's admin API writes the alphabet for URLs, its export the other one."""
    return text.replace("-", "+").replace("_", "/")
