"""Exporting the log, for people who want to keep it elsewhere or verify it themselves."""

import json
from collections.abc import Iterator
from datetime import datetime

from app.audit import reading, recording
from app.audit.reading import Readable
from app.audit.vocabulary import Event
from app.database.engines import Reader
from app.extensions import db


def lines(database: Readable, after: int = 0) -> Iterator[str]:
    """The links after a position, and the head, as JSON Lines."""
    for link in reading.export(database, after):
        yield json.dumps(link, ensure_ascii=True) + "\n"


def download(*, since: datetime | None, actor_id: int) -> Iterator[str]:
    """The lines for an administrator, of what was sealed since then. Commits.

    It is on record, because the file has the addresses of everybody.
    """
    database = Reader()
    after = reading.position_before(database, since) if since else 0
    recording.record(Event.AUDIT_EXPORTED, subject_id=None, actor_id=actor_id, after=after)
    db.session.commit()
    return lines(database, after)
