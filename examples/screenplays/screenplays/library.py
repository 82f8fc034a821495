"""Writing, finding, saving and deleting screenplays, and their earlier versions."""

import unicodedata
from typing import Any

from sqlalchemy import delete, func, select
from sqlalchemy.orm import defer, joinedload

from app import clock
from app.audit import recording
from app.database import pages
from app.database.pages import Key, Order, Page
from app.database.rows import Expected, change
from app.errors import NotFound, PreconditionFailed
from app.extensions import db
from app.models import User
from config import settings
from screenplays import access
from screenplays.access import Opened
from screenplays.errors import TooManyScreenplays
from screenplays.models import Person, Screenplay, Version
from screenplays.names import DELETED, LISTED_BY_PERMISSION
from screenplays.settings import ScreenplaySettings

# The longest text, in characters. A film of two hours has about 200,000.
MAX_TEXT = 400_000
# The most lines. A film of two hours has about 6,000. Everybody who can read a screenplay can have
# it laid out, which takes time for each line and not for each character.
MAX_LINES = 20_000

NEWEST_FIRST = Order((Key("id", Screenplay.id),), descending=True)
LAST_SAVED_FIRST = Order((Key("number", Version.number),), descending=True)


def write(owner: User, *, title: str, logline: str = "", text: str = "") -> Opened:
    """Begin a screenplay. Raises ``TooManyScreenplays``. Commits.

    Two calls at the same time may both get the last place. Nothing depends on it.
    """
    mine = select(func.count()).select_from(Screenplay).where(Screenplay.owner_id == owner.id)
    if (db.session.scalar(mine) or 0) >= settings.of(ScreenplaySettings).per_user:
        raise TooManyScreenplays
    content = {"title": title, "logline": logline, "text": text}
    screenplay = Screenplay(owner_id=owner.id, searched=_searched(title, logline), **content)
    db.session.add(screenplay)
    db.session.flush()
    _keep_version(screenplay, owner)
    db.session.commit()
    return access.open_for(owner, screenplay.id)


def find(user: User, *, q: str | None = None, limit: int, cursor: str | None = None) -> Page[Any]:
    """A page of the screenplays of the user and of those shared with the user, newest first."""
    return _page(user, f"screenplays of {user.id}", q, limit, cursor, access.is_visible_to(user))


def find_all(
    user: User, *, q: str | None = None, limit: int, cursor: str | None = None
) -> Page[Any]:
    """A page of everybody's screenplays, for somebody with the permission. Commits."""
    recording.record(LISTED_BY_PERMISSION, subject_id=None, actor_id=user.id)
    db.session.commit()
    return _page(user, "all screenplays", q, limit, cursor)


def save(
    user: User,
    screenplay_id: int,
    changes: dict[str, Any],
    expected: Expected | None,
    *,
    amends: bool = False,
) -> Opened:
    """Save what is given of title, logline and text. Commits.

    With ``amends`` it takes the place of the version before, if the user saved that.

    Raises ``NotFound``, ``NotEnoughPermissions``, or ``PreconditionFailed`` if
    somebody has saved since the user read it. The database decides this in
    the UPDATE, so of two saves at the same time only one is made.
    """
    opened = access.open_to_write(user, screenplay_id)
    if expected:
        expected(opened)
    read = opened.screenplay
    if all(getattr(read, name) == value for name, value in changes.items()):
        return opened
    values = {name: getattr(read, name) for name in ("title", "logline", "text")} | changes
    saving = (
        change(Screenplay)
        .where(Screenplay.id == read.id, Screenplay.version == read.version)
        # The owner may have taken the user off it a moment ago.
        .where(access.is_writer(user))
        .values(
            **values,
            searched=_searched(values["title"], values["logline"]),
            version=read.version + 1,
            changed_at=clock.now(),
        )
        .returning(Screenplay)
    )
    saved = db.session.scalar(saving)
    if saved is None:
        db.session.rollback()
        raise PreconditionFailed
    if amends:
        before = (Version.screenplay_id == saved.id, Version.number == saved.version - 1)
        db.session.execute(delete(Version).where(*before, Version.author_id == user.id))
    _keep_version(saved, user)
    db.session.commit()
    return Opened(saved, opened.role)


def restore(user: User, screenplay_id: int, number: int) -> Opened:
    """Save an earlier version once more, as the newest one. Commits.

    Nothing is lost, because what was the newest one stays among the versions.
    """
    access.open_to_write(user, screenplay_id)
    old = version(screenplay_id, number)
    content = {"title": old.title, "logline": old.logline, "text": old.text}
    return save(user, screenplay_id, content, None)


def versions(screenplay_id: int, *, limit: int, cursor: str | None = None) -> Page[Version]:
    """A page of the versions, the last saved first. The caller has opened the screenplay."""
    rows = (
        select(Version)
        .where(Version.screenplay_id == screenplay_id)
        .options(defer(Version.text), joinedload(Version.author))
    )
    query = {"list": "versions of a screenplay", "of": screenplay_id}
    return pages.page(rows, LAST_SAVED_FIRST, query, limit=limit, cursor=cursor)


def version(screenplay_id: int, number: int) -> Version:
    """One version. The caller has opened the screenplay. Raises ``NotFound``."""
    found = db.session.get(
        Version, (screenplay_id, min(number, 2**31 - 1)), options=[joinedload(Version.author)]
    )
    if found is None:
        raise NotFound
    return found


def remove(user: User, screenplay_id: int, expected: Expected | None = None) -> None:
    """Delete a screenplay of the user. Raises what ``save`` raises. Commits."""
    opened = access.open_to_manage(user, screenplay_id)
    if expected:
        expected(opened)
    gone = delete(Screenplay).where(
        Screenplay.id == screenplay_id,
        Screenplay.owner_id == user.id,
        *([Screenplay.version == opened.screenplay.version] if expected else ()),
    )
    if db.session.scalar(gone.returning(Screenplay.id)) is None:
        db.session.rollback()
        raise PreconditionFailed if expected else NotFound
    recording.record(DELETED, subject_id=user.id, actor_id=user.id, screenplay_id=screenplay_id)
    db.session.commit()


def hand_over(ids: Any) -> None:
    """Before these users are erased, give their shared screenplays to others. Does not commit.

    The editor who was invited first becomes the owner. The others are deleted
    with their owner, and so are invitations to the addresses of these users.
    """
    addresses = select(User.email).where(User.id.in_(ids))
    db.session.execute(delete(Person).where(Person.invited_key.in_(addresses)))
    editors = (
        select(Person)
        .join(Screenplay, Screenplay.id == Person.screenplay_id)
        .where(Screenplay.owner_id.in_(ids), Person.role == access.EDITOR)
        .where(Person.accepted_at.is_not(None), Person.user_id.not_in(ids))
        .order_by(Person.id)
    )
    heirs: dict[int, Person] = {}
    for person in db.session.scalars(editors):
        heirs.setdefault(person.screenplay_id, person)
    for screenplay_id, heir in heirs.items():
        db.session.execute(
            change(Screenplay).where(Screenplay.id == screenplay_id).values(owner_id=heir.user_id)
        )
        db.session.execute(delete(Person).where(Person.id == heir.id))


def _page(
    user: User, name: str, q: str | None, limit: int, cursor: str | None, *which: Any
) -> Page[Any]:
    rows = (
        select(Screenplay)
        .where(*which)
        .options(defer(Screenplay.text), joinedload(Screenplay.owner))
    )
    if q:
        rows = rows.where(Screenplay.searched.contains(_folded(q), autoescape=True))
    found = pages.page(rows, NEWEST_FIRST, {"list": name, "q": q}, limit=limit, cursor=cursor)
    roles = access.roles_in(user, list(found.items))
    return Page([Opened(one, roles.get(one.id)) for one in found.items], found.next_cursor)


def _keep_version(screenplay: Screenplay, author: User) -> None:
    """Keep the screenplay as it is now, and forget the oldest versions. The caller commits."""
    db.session.add(
        Version(
            screenplay_id=screenplay.id,
            number=screenplay.version,
            title=screenplay.title,
            logline=screenplay.logline,
            text=screenplay.text,
            author_id=author.id,
        )
    )
    # The statement below must count it.
    db.session.flush()
    of_this = Version.screenplay_id == screenplay.id
    newest_first = select(Version.number).where(of_this).order_by(Version.number.desc())
    last_kept = newest_first.offset(settings.of(ScreenplaySettings).versions_kept - 1).limit(1)
    db.session.execute(
        delete(Version)
        .where(of_this, Version.number < last_kept.scalar_subquery())
        .execution_options(synchronize_session=False)
    )


def _searched(title: str, logline: str) -> str:
    return _folded(f"{title}\n{logline}")


def _folded(text: str) -> str:
    return unicodedata.normalize("NFC", text).casefold()
