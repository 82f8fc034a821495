"""A provider like Apple, which wants a signed token in the place of a client secret."""

import json
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from joserfc import jws
from joserfc.jwk import ECKey

from app import clock
from app.auth.providers.settings import ClientKey
from tests.auth.providers.acme import offered, place_of, sign_in
from tests.pages.person import Person

# What a provider answers does not depend on the database.
pytestmark = pytest.mark.postgresql


def test_the_secret_is_a_token_that_our_key_signed(
    app: Flask, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    key, file = ECKey.generate_key("P-256"), tmp_path / "AuthKey_1.p8"
    file.write_bytes(key.as_pem(private=True))
    client_key = ClientKey(file=file, key_id="KEY1", team_id="TEAM1")
    sent: list[dict[str, str]] = []
    with offered(app, client_secret="", client_key=client_key) as acme:
        swap = acme._swap

        def noted(form: dict[str, str]) -> Any:
            sent.append(form)
            return swap(form)

        monkeypatch.setattr(acme, "_swap", noted)
        answer = sign_in(Person(app), acme, "1")

    assert place_of(answer) == "/account/with/acme/new-account"
    signed = jws.deserialize_compact(sent[0]["client_secret"], key, algorithms=["ES256"])
    claims, now = json.loads(signed.payload), clock.now().timestamp()
    assert signed.headers()["kid"] == "KEY1"
    assert (claims["iss"], claims["sub"], claims["aud"]) == ("TEAM1", "our-client", acme.issuer)
    assert now - 60 < claims["iat"] <= now < claims["exp"] < now + 600


@pytest.mark.parametrize("content", [None, b"", b"not a key"])
def test_a_key_that_cannot_be_used_is_a_failure_and_the_log_says_why(
    app: Flask, tmp_path: Path, caplog: pytest.LogCaptureFixture, content: bytes | None
) -> None:
    file = tmp_path / "AuthKey_1.p8"
    if content is not None:
        file.write_bytes(content)
    client_key = ClientKey(file=file, key_id="KEY1", team_id="TEAM1")
    with offered(app, client_secret="", client_key=client_key) as acme:
        answer = sign_in(Person(app), acme, "1")

    assert answer.status_code == 502
    assert any("key of this server" in getattr(each, "reason", "") for each in caplog.records)
