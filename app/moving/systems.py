"""Translates the rows of other systems, with one function for each system.

A function turns a row, as the system exports it, into a row of
``AccountSchema``. A row without ``username`` gets a derived one. The functions
raise ``UnfitRow`` for a row that cannot become an account.
"""

import json
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from app import clock
from app.moving import files
from app.moving.files import UnfitRow
from app.moving.values import created_at, flag, id_of, instant, is_past, text, words

RowOf = dict[str, Any]

NATIVE_FLAGS = ("is_active", "is_superuser", "email_verified")


@dataclass(frozen=True)
class Particulars:
    """The facts about the other system that its rows do not tell."""

    is_csv: bool = False
    # Flask-Security: SECURITY_PASSWORD_SINGLE_HASH was true there.
    single_hash: bool = False
    # Auth0 exports password hashes in a file of their own. User id → hash.
    password_hashes: dict[str, str] = field(default_factory=dict)
    # Firebase: the project's hash parameters, with the defaults of every project.
    firebase_rounds: int = 8
    firebase_memory_cost: int = 14
    firebase_salt_separator: str = "Bw=="


def native(row: RowOf, about: Particulars) -> RowOf:
    """A row that ``flask users export`` wrote."""
    if not about.is_csv:
        return row
    account = files.from_cells(row)
    for name in NATIVE_FLAGS:
        # A spreadsheet writes TRUE. If the value is not a boolean, the schema refuses it later.
        if account.get(name):
            with suppress(UnfitRow):
                account[name] = flag(account[name])
    # An empty cell means null if the field can be null, and otherwise that the field is missing.
    kept = ("full_name", "bio", "avatar_url", "updated_at", "deletion_due_at", "hashed_password")
    return {name: value for name, value in account.items() if value is not None or name in kept}


def fastapi_users(row: RowOf, _about: Particulars) -> RowOf:
    return {
        "id": id_of(row.get("id")),
        "email": text(row.get("email")),
        "username": text(row.get("username")),
        "hashed_password": text(row.get("hashed_password")),
        "is_active": flag(row.get("is_active", True)),
        "is_superuser": flag(row.get("is_superuser")),
        "email_verified": flag(row.get("is_verified")),
        "created_at": created_at(row.get("created_at")),
    }


def flask_security(row: RowOf, about: Particulars) -> RowOf:
    stored = text(row.get("password"))
    if isinstance(stored, str) and not stored.startswith(("plaintext", "{")):
        tag = "flask-security-single$" if about.single_hash else "flask-security$"
        stored = tag + stored
    return {
        "id": id_of(row.get("id")),
        "email": text(row.get("email")),
        "username": text(row.get("username")),
        "hashed_password": stored,
        "is_active": flag(row.get("active", True)),
        "email_verified": is_past(row.get("confirmed_at")),
        "created_at": created_at(row.get("create_datetime")),
    }


def django(row: RowOf, _about: Particulars) -> RowOf:
    """A row of the table ``auth_user``, or ``dumpdata``'s of it or of a custom user model."""
    values = row.get("fields", row)
    if not isinstance(values, dict) or "password" not in values:
        raise UnfitRow("no_account", "is a row of another model")
    stored = text(values.get("password"))
    return {
        "id": id_of(row.get("pk", values.get("id"))),
        "email": text(values.get("email")),
        "username": text(values.get("username")),
        "full_name": _joined(values.get("first_name"), values.get("last_name")),
        # set_unusable_password writes a password that begins with an exclamation mark.
        "hashed_password": None if str(stored).startswith("!") else stored,
        "is_active": flag(values.get("is_active", True)),
        "is_superuser": flag(values.get("is_superuser")),
        "created_at": created_at(values.get("date_joined")),
    }


def supabase(row: RowOf, _about: Particulars) -> RowOf:
    """A row of the table ``auth.users``."""
    if instant(row.get("deleted_at")):
        raise UnfitRow("deleted", "was deleted there")
    told = _object(row.get("raw_user_meta_data"))
    banned_until = instant(row.get("banned_until"))
    return {
        "id": id_of(row.get("id")),
        "email": text(row.get("email")),
        "username": _first(told, "username", "user_name", "preferred_username"),
        "full_name": _first(told, "full_name", "name"),
        "avatar_url": _first(told, "avatar_url", "picture"),
        "hashed_password": text(row.get("encrypted_password")),
        "is_active": banned_until is None or banned_until <= clock.now(),
        "email_verified": is_past(row.get("email_confirmed_at")),
        "created_at": created_at(row.get("created_at")),
    }


def auth0(row: RowOf, about: Particulars) -> RowOf:
    """A user of the export extension, or a line of the password hashes that support sends."""
    user_id = _auth0_id(row)
    name = text(row.get("name"))
    return {
        "id": user_id,
        "email": text(row.get("email")),
        "username": text(row.get("username")),
        # Auth0 uses the address as the name if it has no better one.
        "full_name": None if name == row.get("email") else name,
        "avatar_url": text(row.get("picture")),
        "hashed_password": text(row.get("passwordHash"))
        or about.password_hashes.get(user_id or ""),
        "is_active": not flag(row.get("blocked")),
        "email_verified": flag(row.get("email_verified")),
        "created_at": created_at(row.get("created_at")),
    }


def auth0_password_hash(row: RowOf) -> tuple[str, str] | None:
    """The user id and the hash in a line of the file of hashes."""
    try:
        user_id, stored = _auth0_id(row), words(row.get("passwordHash"))
    except UnfitRow:
        return None
    return (user_id, stored) if user_id and stored else None


def _auth0_id(row: RowOf) -> str | None:
    if user_id := words(row.get("user_id")):
        return user_id
    own = row.get("_id")
    if isinstance(own, str) and not own.lstrip().startswith("{"):
        # It is MongoDB's id without its type.
        own = {"$oid": own}
    found = words(_object(own).get("$oid"))
    return f"auth0|{found}" if found else None


def firebase(row: RowOf, about: Particulars) -> RowOf:
    """An element of ``users`` of ``firebase auth:export``."""
    stored, salt = text(row.get("passwordHash")), words(row.get("salt"))
    if isinstance(stored, str) and salt:
        parameters = (
            about.firebase_rounds,
            about.firebase_memory_cost,
            about.firebase_salt_separator,
        )
        parts = ("firebase-scrypt", *parameters, _plain_base64(salt), _plain_base64(stored))
        stored = "$".join(map(str, parts))
    return {
        "id": id_of(row.get("localId")),
        "email": text(row.get("email")),
        "full_name": text(row.get("displayName")),
        "avatar_url": text(row.get("photoUrl")),
        "hashed_password": stored,
        "is_active": not flag(row.get("disabled")),
        "email_verified": flag(row.get("emailVerified")),
        "created_at": created_at(row.get("createdAt")),
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


def _joined(*names: Any) -> str | None:
    return " ".join(filter(None, map(words, names))) or None


def _first(told: RowOf, *names: str) -> str | None:
    return next(filter(None, (words(told.get(name)) for name in names)), None)


def _object(value: Any) -> RowOf:
    """A JSON object, or the object in a text, as CSV has it."""
    if isinstance(value, str):
        if text(value) is None:
            return {}
        try:
            value = json.loads(value)
        except (ValueError, RecursionError):
            raise UnfitRow("malformed", "has a cell that is not JSON") from None
    return value if isinstance(value, dict) else {}


def _plain_base64(text: str) -> str:
    """Standard base64. Firebase's admin API uses the alphabet for URLs, its export does not."""
    return text.replace("-", "+").replace("_", "/")
