"""flask keys reseal"""

from collections.abc import Callable, Iterator

import pytest
from click.testing import Result
from flask import Flask
from flask.testing import FlaskClient

from app import clock
from app.auth.mfa.totp.models import TotpFactor
from app.extensions import db
from app.features import keyed
from app.models import User
from app.security import key_ring
from tests.auth.mfa.phone import Phone, enrol, give_password
from tests.factories import make_user

OLD, NEW = "o" * 32, "n" * 32

Reseal = Callable[..., Result]


@pytest.fixture(autouse=True)
def old_key(set_settings: Callable[..., None]) -> None:
    set_settings(data_keys={"old": OLD})


@pytest.fixture
def rotate(set_settings: Callable[..., None]) -> Callable[[], None]:
    return lambda: set_settings(data_keys={"new": NEW, "old": OLD})


@pytest.fixture
def reseal(app: Flask) -> Reseal:
    def run(*arguments: str) -> Result:
        return app.test_cli_runner().invoke(args=["keys", "reseal", *arguments])

    return run


@pytest.fixture
def people(app: Flask) -> list[User]:
    """Seven users with an authenticator app, whose secret is their number."""
    made = [
        make_user(app, username=f"user{number}", email=f"user{number}@example.com")
        for number in range(7)
    ]
    with app.app_context():
        for user in made:
            sealed = key_ring.seal(f"secret of {user.id}", row=f"totp_factors:{user.id}")
            db.session.add(
                TotpFactor(
                    user_id=user.id,
                    sealed_secret=sealed.text,
                    key_id=sealed.key_id,
                    created_at=clock.now(),
                    confirmed_at=clock.now(),
                )
            )
        db.session.commit()
    return made


def keys_of(app: Flask) -> list[str]:
    """The id of the key of each row, in the order of the users. Each row must open."""
    with app.app_context():
        rows = db.session.scalars(db.select(TotpFactor).order_by(TotpFactor.user_id)).all()
        for row in rows:
            sealed = key_ring.Sealed(row.sealed_secret, row.key_id)
            opened = key_ring.unseal(sealed, row=f"totp_factors:{row.user_id}")
            assert opened == f"secret of {row.user_id}"
        return [row.key_id for row in rows]


@pytest.mark.usefixtures("people")
def test_it_moves_every_row_to_the_newest_key(
    app: Flask, reseal: Reseal, rotate: Callable[[], None]
) -> None:
    rotate()

    result = reseal("--batch", "3")

    assert result.exit_code == 0, result.output
    assert result.stdout.splitlines() == [
        "The newest key is new.",
        "Moved 7 authenticator apps to the newest key.",
        "Nothing needs the key old any more. Take it out of DATA_KEYS.",
        "Nothing needs the key of SECRET_KEY any more. Second factors outlive a new SECRET_KEY.",
    ]
    assert result.stderr.splitlines() == [
        *("… 3 authenticator apps so far", "… 6 authenticator apps so far"),
        "… 7 authenticator apps so far",
    ]
    assert keys_of(app) == ["new"] * 7


@pytest.mark.usefixtures("people")
def test_then_nothing_needs_the_old_key(
    app: Flask, reseal: Reseal, rotate: Callable[[], None], set_settings: Callable[..., None]
) -> None:
    rotate()
    reseal()

    set_settings(data_keys={"new": NEW})

    assert keys_of(app) == ["new"] * 7
    assert reseal().exit_code == 0


@pytest.mark.usefixtures("people")
def test_it_may_run_twice(app: Flask, reseal: Reseal, rotate: Callable[[], None]) -> None:
    rotate()
    reseal()
    with app.app_context():
        before = db.session.scalars(db.select(TotpFactor.sealed_secret)).all()

    again = reseal()

    assert "Moved 0 authenticator apps to the newest key." in again.output
    with app.app_context():
        assert db.session.scalars(db.select(TotpFactor.sealed_secret)).all() == before


@pytest.mark.usefixtures("people")
def test_it_may_be_interrupted_between_two_batches(
    app: Flask, reseal: Reseal, rotate: Callable[[], None]
) -> None:
    rotate()
    with app.app_context():
        [rows] = [
            rows
            for feature in app.extensions["features"]
            for rows in feature.keyed
            if isinstance(rows, keyed.SealedRows)
        ]
        steps: Iterator[keyed.Step] = keyed.reseal(rows, 3)
        assert next(steps).moved == 3

    assert keys_of(app) == ["new"] * 3 + ["old"] * 4
    assert "Moved 4 authenticator apps" in reseal().output
    assert keys_of(app) == ["new"] * 7


def test_a_row_that_was_tampered_with_is_told_and_stops_nothing(
    app: Flask, people: list[User], reseal: Reseal, rotate: Callable[[], None]
) -> None:
    first, second = people[0].id, people[1].id
    with app.app_context():
        # The secret of one user was copied over the one of another.
        db.session.get_one(TotpFactor, first).sealed_secret = db.session.get_one(
            TotpFactor, second
        ).sealed_secret
        db.session.commit()
    rotate()

    result = reseal("--batch", "1")

    assert "Moved 6 authenticator apps to the newest key." in result.output
    assert "1 authenticator apps do not open" in result.output
    assert "needs the key old" not in result.output


@pytest.mark.usefixtures("people")
def test_rows_whose_key_is_gone_stay_and_are_counted(
    app: Flask, reseal: Reseal, set_settings: Callable[..., None]
) -> None:
    set_settings(data_keys={"new": NEW})

    result = reseal()

    assert result.exit_code == 1
    assert "7 rows need a key that is not in DATA_KEYS, or that of another " in result.output
    set_settings(data_keys={"new": NEW, "old": OLD})
    assert keys_of(app) == ["old"] * 7


@pytest.mark.usefixtures("people")
def test_a_secret_that_is_set_meanwhile_is_kept(
    app: Flask, people: list[User], rotate: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    rotate()
    seal = key_ring.seal

    def seal_while_the_user_enrols_anew(text: str, *, row: str) -> key_ring.Sealed:
        other = seal("set meanwhile", row=row)
        with db.engine.connect() as connection:
            connection.execute(
                db.update(TotpFactor)
                .where(TotpFactor.user_id == int(row.partition(":")[2]))
                .values(sealed_secret=other.text, key_id=other.key_id)
            )
            connection.commit()
        return seal(text, row=row)

    with app.app_context():
        [rows] = [
            rows
            for feature in app.extensions["features"]
            for rows in feature.keyed
            if isinstance(rows, keyed.SealedRows)
        ]
        with monkeypatch.context() as patched:
            patched.setattr(key_ring, "seal", seal_while_the_user_enrols_anew)
            moved = next(keyed.reseal(rows, 1)).moved
        row = db.session.get_one(TotpFactor, people[0].id)
        opened = key_ring.unseal(
            key_ring.Sealed(row.sealed_secret, row.key_id), row=f"totp_factors:{row.user_id}"
        )

    assert moved == 0
    assert opened == "set meanwhile"


# With a phone in somebody's hand


@pytest.fixture
def phone(client: FlaskClient, ada: User) -> Phone:
    return enrol(client, ada)


def test_codes_work_before_between_and_after(
    client: FlaskClient,
    ada: User,
    phone: Phone,
    reseal: Reseal,
    rotate: Callable[[], None],
    set_settings: Callable[..., None],
) -> None:
    rotate()
    by_old_key = give_password(client, ada, recovery_code=phone.recovery_codes[0])

    result = reseal()
    set_settings(data_keys={"new": NEW})
    by_new_key = give_password(client, ada, otp=phone.code())
    dead = give_password(client, ada, recovery_code=phone.recovery_codes[1])

    assert by_old_key.status_code == by_new_key.status_code == 200
    assert "9 recovery codes need an older key" in result.output
    assert dead.status_code == 403
