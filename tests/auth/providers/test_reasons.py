"""What the log says when a provider was set up wrongly: enough to mend it."""

import pytest
from flask import Flask

from app.auth.providers import discovery
from app.auth.providers.errors import ProviderFailed
from app.auth.providers.openid import refuse_error
from tests.auth.providers.acme import Acme, offered


def test_another_issuer_is_named_beside_the_one_in_the_settings(app: Flask) -> None:
    acme = Acme("slash", "https://id.slash.example")
    with app.app_context(), offered(app, acme), pytest.raises(ProviderFailed) as failed:
        discovery.metadata(acme.settings(issuer=f"{acme.issuer}/"))

    assert "issuer 'https://id.slash.example'," in failed.value.reason
    assert "names 'https://id.slash.example/'" in failed.value.reason


def test_a_wrong_secret_is_told_from_a_wrong_code() -> None:
    def reason(**answer: str) -> str:
        with pytest.raises(ProviderFailed) as failed:
            refuse_error(answer)
        return failed.value.reason

    assert reason(error="invalid_client", error_description="wrong\nsecret") == (
        r"its token endpoint refused: 'invalid_client', 'wrong\nsecret'; "
        "compare the client id and the secret with those at the provider"
    )
    assert reason(error="invalid_grant") == "its token endpoint refused: 'invalid_grant'"
    assert len(reason(error="x" * 999, error_description="x" * 999)) < 400
