"""What ``flask doctor`` finds about second factors and their keys."""

from collections.abc import Callable

import pytest
from flask import Flask
from flask.testing import FlaskClient

from app.extensions import db
from app.models import User
from tests.auth.mfa.phone import enrol
from tests.auth.mfa.test_housekeeping import add_passkey
from tests.doctor.test_checks import found
from tests.factories import make_user

OLD, NEW = "o" * 32, "n" * 32


def test_rows_whose_key_is_gone_are_counted(
    app: Flask, client: FlaskClient, ada: User, bob: User, set_settings: Callable[..., None]
) -> None:
    set_settings(data_keys={"old": OLD})
    enrol(client, ada)
    enrol(client, bob)
    set_settings(data_keys={"new": NEW, "old": OLD})
    before = found(app)

    set_settings(data_keys={"new": NEW})
    after = found(app)

    names = {"sealed_rows_have_their_key", "digests_have_their_key"}
    assert not names & set(before)
    assert after["sealed_rows_have_their_key"] == (
        "They are sealed with a key that is gone: 2 authenticator apps."
    )
    assert after["digests_have_their_key"] == (
        "They do not work, because their key is gone: 20 recovery codes."
    )


def test_used_codes_and_codes_under_an_older_key_do_not_count(
    app: Flask, client: FlaskClient, ada: User, set_settings: Callable[..., None]
) -> None:
    set_settings(data_keys={"old": OLD})
    enrol(client, ada)
    with app.app_context():
        db.session.execute(db.text("UPDATE recovery_codes SET used_at = created_at"))
        db.session.commit()

    set_settings(data_keys={"new": NEW})

    assert "digests_have_their_key" not in found(app)


def test_another_secret_key_without_data_keys_is_a_key_that_is_gone(
    app: Flask, client: FlaskClient, ada: User, set_settings: Callable[..., None]
) -> None:
    enrol(client, ada)

    set_settings(secret_key="another secret key of the server")

    assert "1 authenticator apps" in found(app)["sealed_rows_have_their_key"]


def test_superusers_without_a_second_factor_are_named(
    app: Flask, client: FlaskClient, grace: User, ada: User
) -> None:
    make_user(app, username="alan", email="alan@example.com", superuser=True)
    make_user(app, username="gone", email="gone@example.com", superuser=True, active=False)
    enrol(client, grace)

    assert found(app)["superusers_have_a_second_factor"] == (
        "These superusers have no second factor: alan@example.com."
    )


def test_of_many_superusers_ten_are_named(app: Flask) -> None:
    for number in range(12):
        make_user(app, username=f"u{number:02}", email=f"u{number:02}@example.com", superuser=True)

    said = found(app)["superusers_have_a_second_factor"]

    assert said.count("@") == 10
    assert said.endswith("u09@example.com and 2 others.")


def test_where_each_superuser_has_one_nothing_is_said(
    app: Flask, client: FlaskClient, grace: User
) -> None:
    enrol(client, grace)

    assert "superusers_have_a_second_factor" not in found(app)


@pytest.mark.parametrize(("rp_id", "is_found"), [("localhost", False), ("example.com", True)])
def test_passkeys_of_another_domain_are_counted(
    app: Flask, make_app: Callable[..., Flask], ada: User, rp_id: str, is_found: bool
) -> None:
    add_passkey(app, ada)
    other = make_app(WEBAUTHN_RP_ID=rp_id, WEBAUTHN_ORIGINS=f"https://{rp_id}")

    said = found(other).get("passkeys_belong_to_this_domain", "")

    assert ("1 of localhost" in said) is is_found
