"""A provider by ``pyop``, a library that nobody here wrote, with the least that it needs around it.

It is of the old school: it does not know PKCE, says nothing of ``iss`` in its
answers, gives each client other subjects, and signs with a library of its own.

Run it with its issuer, the id, the secret and the redirect URI of its client,
and the file of its certificate.
"""

import sys
from typing import Any
from urllib.parse import urlencode, urlsplit

from Cryptodome.PublicKey import RSA
from flask import Flask, jsonify, redirect, request
from jwkest.jwk import RSAKey
from pyop.authz_state import AuthorizationState
from pyop.exceptions import OAuthError
from pyop.provider import Provider
from pyop.subject_identifier import HashBasedSubjectIdentifierFactory
from pyop.userinfo import Userinfo

PAGE = """<!doctype html><title>Old school</title><form method="post">
<label>Name <input name="user"></label><button>Agree</button>
<button name="refused" value="1">Refuse</button></form>"""


class Everybody(dict[str, Any]):
    """Each name is that of somebody."""

    def __missing__(self, name: str) -> dict[str, Any]:
        return {"email": f"{name}@example.com", "email_verified": True, "name": name.title()}

    def __contains__(self, _: object) -> bool:
        return True


def make_provider(issuer: str, client_id: str, secret: str, redirect_uri: str) -> Provider:
    configuration = {
        "issuer": issuer,
        "authorization_endpoint": f"{issuer}/authorize",
        "token_endpoint": f"{issuer}/token",
        "userinfo_endpoint": f"{issuer}/userinfo",
        "jwks_uri": f"{issuer}/jwks",
        "scopes_supported": ["openid", "email", "profile"],
        "response_types_supported": ["code"],
    }
    client = {
        "client_secret": secret,
        "redirect_uris": [redirect_uri],
        "response_types": ["code"],
        "token_endpoint_auth_method": "client_secret_basic",
    }
    return Provider(
        RSAKey(key=RSA.generate(2048), kid="1", use="sig", alg="RS256"),
        configuration,
        AuthorizationState(HashBasedSubjectIdentifierFactory("salt")),
        {client_id: client},
        Userinfo(Everybody()),
    )


def make_app(provider: Provider) -> Flask:
    app = Flask(__name__)

    @app.get("/.well-known/openid-configuration")
    def configuration() -> Any:
        return jsonify(provider.provider_configuration.to_dict())

    @app.get("/jwks")
    def keys() -> Any:
        return jsonify(provider.jwks)

    @app.get("/authorize")
    def ask() -> Any:
        return PAGE

    @app.post("/authorize")
    def answer() -> Any:
        known = [(key, value) for key, value in request.args.items() if "challenge" not in key]
        asked = provider.parse_authentication_request(urlencode(known))
        if "refused" in request.form:
            refusal = {"error": "access_denied", "state": asked["state"]}
            return redirect(f"{asked['redirect_uri']}?{urlencode(refusal)}", 303)
        agreed = provider.authorize(asked, request.form["user"])
        return redirect(agreed.request(asked["redirect_uri"]), 303)

    @app.post("/token")
    def token() -> Any:
        body = request.get_data(as_text=True)
        return jsonify(provider.handle_token_request(body, request.headers).to_dict())

    @app.get("/userinfo")
    def userinfo() -> Any:
        return jsonify(provider.handle_userinfo_request("", request.headers).to_dict())

    @app.errorhandler(OAuthError)
    def refused(error: OAuthError) -> Any:
        return jsonify(error=error.oauth_error), 400

    return app


if __name__ == "__main__":
    *about, certificate = sys.argv[1:]
    place = urlsplit(about[0])
    app = make_app(make_provider(*about))
    app.run(place.hostname, place.port, threaded=True, ssl_context=(certificate, certificate))
