"""Making accounts."""

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import exists
from sqlalchemy.exc import IntegrityError
from werkzeug.datastructures import LanguageAccept

from app.errors import EmailTaken, UsernameTaken
from app.extensions import db
from app.models import User
from app.models.user import LOCALES
from app.security import passwords
from app.security.identifiers import username_key


def register(
    *,
    email: str,
    username: str,
    password: str,
    full_name: str | None = None,
    bio: str | None = None,
    locale: str = "en",
    is_superuser: bool = False,
    email_verified: bool = False,
) -> User:
    """Make an account from canonical values, and commit.

    Whether the address or the name is taken is for the unique constraints to
    say: looking first would let two registrations at once both pass. Raises
    ``EmailTaken`` or ``UsernameTaken``.
    """
    user = User(
        email=email,
        username=username,
        username_key=username_key(username),
        hashed_password=passwords.hash(password),
        full_name=full_name,
        bio=bio,
        locale=locale,
        is_superuser=is_superuser,
        email_verified=email_verified,
    )
    try:
        with unless_taken():
            db.session.add(user)
            db.session.commit()
    except UsernameTaken:
        # Where both are taken the databases disagree on which they name first.
        if db.session.scalar(exists().where(User.email == email).select()):
            raise EmailTaken from None
        raise
    return user


def preferred_locale(accepted: LanguageAccept) -> str:
    """The language to write to a person in, by what their browser asks for."""
    for wanted, quality in accepted:
        language = wanted.partition("-")[0].lower()
        # A quality of 0 means "anything but" (RFC 9110 §12.4.2).
        if language in LOCALES and quality > 0:
            return language
    return "en"


@contextmanager
def unless_taken() -> Iterator[None]:
    """Turn a unique constraint's objection into ``EmailTaken`` or ``UsernameTaken``."""
    try:
        yield
    except IntegrityError as error:
        db.session.rollback()
        # PostgreSQL names the constraint, SQLite the column; the column's name is in both.
        diagnosis = getattr(error.orig, "diag", None)
        violated = diagnosis.constraint_name if diagnosis else str(error.orig)
        for column, taken in (("username_key", UsernameTaken), ("email", EmailTaken)):
            if column in violated:
                raise taken from None
        raise
