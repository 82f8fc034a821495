"""A server that is started before the database is upgraded."""

import time
from pathlib import Path

import flask_migrate
import requests

from app.extensions import db
from tests.conftest import ENVIRONMENT
from tests.database.test_fitness import application
from tests.mail.test_deliverer import until
from tests.servers import serving


def test_a_server_whose_database_was_not_upgraded_says_what_to_run_and_waits(
    new_database: str, tmp_path: Path
) -> None:
    person = {"email": "ada@example.com", "username": "ada", "password": "correct horse 1"}
    variables = ENVIRONMENT | {
        "DATABASE_URL": new_database,
        "WEB_CONCURRENCY": "1",
        "MAIL_URL": f"file://{tmp_path / 'letters'}",
        # The locks of background work are found there.
        "TMPDIR": str(tmp_path),
    }
    with serving(tmp_path / "log", **variables) as server:
        early = requests.post(f"{server.api}/auth/register", json=person, timeout=30)
        time.sleep(3)
        said = server.log.read_text()
        app = application(new_database)
        with app.app_context():
            flask_migrate.upgrade()
            db.engine.dispose()
        late = requests.post(f"{server.api}/auth/register", json=person, timeout=30)
        until(lambda: list(tmp_path.glob("letters/*.eml")))

    assert (early.status_code, early.json()["code"]) == (503, "unavailable")
    # At the start, for the mail, for the audit log, and for the call.
    assert said.count("run flask db upgrade") == 4, said
    assert "Traceback" not in said
    assert late.status_code == 201
