"""Whom a change holds until its commit, on both databases."""

import pytest
from flask import Flask

from app.access.permissions import USERS_WRITE
from app.administration import accounts
from app.extensions import db
from app.models import User
from app.users import authority
from app.users.authority import LastSuperuser
from tests.auth.sessions.test_races import elsewhere
from tests.factories import make_user


def test_nobody_changes_the_other_superusers_meanwhile(app: Flask, ada: User, grace: User) -> None:
    alan = make_user(app, username="alan", email="alan@example.com", superuser=True)

    with app.app_context():
        authority.lock_account(ada.id, USERS_WRITE, actor=None)
        demoting = elsewhere(app, lambda: accounts.set_superuser(alan.email, False))
        demoting.join(timeout=0.5)
        has_waited = demoting.is_alive()
        db.session.commit()
        demoting.join()

    assert has_waited


def test_what_was_decided_while_one_waited_is_seen(app: Flask, grace: User) -> None:
    alan = make_user(app, username="alan", email="alan@example.com", superuser=True)
    refusals: list[type[Exception]] = []

    def step_down() -> None:
        try:
            accounts.set_superuser(alan.email, False)
        except LastSuperuser as refusal:
            refusals.append(type(refusal))

    with app.app_context():
        locked = authority.lock_account(grace.id, USERS_WRITE, actor=None)
        stepping_down = elsewhere(app, step_down)
        stepping_down.join(timeout=0.5)
        locked.user.is_superuser = False
        db.session.commit()
        stepping_down.join()

    assert refusals == [LastSuperuser]


@pytest.mark.parametrize("others", [0, 1])
def test_the_last_superuser_is_known_as_such(app: Flask, grace: User, others: int) -> None:
    for number in range(others):
        make_user(app, username=f"su{number}", email=f"su{number}@example.com", superuser=True)

    with app.app_context():
        locked = authority.lock_account(grace.id, USERS_WRITE, actor=None)

        assert locked.is_last_superuser is (others == 0)
