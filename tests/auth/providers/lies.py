"""What a provider, or somebody between it and us, can say wrong: one row for each lie.

The names are those of providers too, so they are short. A status of ``None``
means that the row is no lie: it must be believed.
"""

import json
from typing import Any

from cryptography.hazmat.primitives import serialization

from tests.auth.providers.lying_provider import (
    CLIENT_ID,
    CLIENT_SECRET,
    MINUTES,
    SUBJECT,
    Changes,
    Lie,
    drips,
    ec_jwk,
    foreign_key,
    hangs_up,
    jws,
    never_ends,
    published,
    rsa_jwk,
    rsa_key,
    says,
    signature,
    to_text,
)

METADATA = "http://169.254.169.254/latest/meta-data/"
NOW = 1_700_000_000
FAR = 32_503_680_000


def _public_pem() -> bytes:
    return (
        rsa_key()
        .public_key()
        .public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    )


def _unsigned(header: Changes, claims: Any) -> str:
    return jws(header, claims, "none", None)


def _by_public_key(header: Changes, claims: Any) -> str:
    return jws(header, claims, "HS256", _public_pem())


def _by_client_secret(header: Changes, claims: Any) -> str:
    return jws(header, claims, "HS256", CLIENT_SECRET.encode())


def _by_shared_key(header: Changes, claims: Any) -> str:
    return jws(header, claims, "HS256", b"k" * 32)


def _by_foreign_key(header: Changes, claims: Any) -> str:
    return jws(header, claims, "ES256", foreign_key())


def _by_foreign_rsa_key(header: Changes, claims: Any) -> str:
    return jws(header, claims, "RS256", rsa_key(1024))


def _by_rsa_key(header: Changes, claims: Any) -> str:
    return jws(header, claims, "RS256", rsa_key())


def _with_other_claims(header: Changes, claims: Any) -> str:
    """A genuine token of somebody else, in which the subject was exchanged."""
    first, _, last = jws(header, {**claims, "sub": "mallory"}, "RS256", rsa_key()).split(".")
    return f"{first}.{to_text(json.dumps(claims).encode())}.{last}"


def _in_two_parts(header: Changes, claims: Any) -> str:
    return jws(header, claims, "RS256", rsa_key()).rpartition(".")[0]


def _in_five_parts(header: Changes, claims: Any) -> str:
    return jws(header, claims, "RS256", rsa_key()) + ".AAAA.AAAA"


def _as_list(header: Changes, claims: Any) -> str:
    return jws(header, [claims], "RS256", rsa_key())


def _signed(header: str, payload: str) -> str:
    """A genuine signature of JSON that Python would not write."""
    signed = f"{to_text(header.encode())}.{to_text(payload.encode())}"
    return f"{signed}.{to_text(signature('RS256', signed.encode(), rsa_key()))}"


def _with_text(text: str) -> Any:
    def sign(header: Changes, claims: Any) -> str:
        return _signed(json.dumps(header), text.replace("CLAIMS", json.dumps(claims)[1:-1]))

    return sign


def _with_header(text: str) -> Any:
    return lambda _, claims: _signed(text, json.dumps(claims))


def _symmetric_keys() -> Any:
    return {"keys": [{"kty": "oct", "kid": "shared", "k": to_text(b"k" * 32), "alg": "HS256"}]}


def _keys_for_encryption() -> Any:
    return {"keys": [rsa_jwk(rsa_key(), kid="rsa", use="enc")]}


def _a_short_key() -> Any:
    return {"keys": [rsa_jwk(rsa_key(1024), kid="rsa")]}


def _a_key_of_one_bit() -> Any:
    return {"keys": [{"kty": "RSA", "kid": "rsa", "n": "AQ", "e": "AQ"}]}


def _one_key_without_a_name() -> Any:
    return {"keys": [rsa_jwk(rsa_key())]}


DEEP = b"[" * 20_000

TRUTHS = [
    Lie("truth", None),
    Lie("oneaudience", None, claims={"aud": [CLIENT_ID]}),
    Lie("azpisours", None, claims={"azp": CLIENT_ID}),
    Lie("es", None, header={"alg": "ES256", "kid": "ec"}),
    Lie("ps", None, header={"alg": "PS256"}),
    Lie("ed", None, header={"alg": "EdDSA", "kid": "ed"}),
    Lie("ednew", None, header={"alg": "Ed25519", "kid": "ed"}),
    Lie("onekey", None, header={"kid": None}, keys=_one_key_without_a_name),
    Lie("notype", None, header={"typ": None}),
    Lie("future", None, claims={"new": {"a": 1}}, token={"new": 1}, callback={"new": "1"}),
    # A clock may be some seconds ahead of ours.
    Lie("terse", None, is_terse=True),
    Lie("noissincallback", None, discovery={"authorization_response_iss_parameter_supported": None},
        callback={"iss": None}),
    Lie("noisseither", None, discovery={"authorization_response_iss_parameter_supported": None},
        callback={"iss": None}),
    Lie("types", None, types={"jwks": "application/jwk-set+json", "token": "Application/JSON;a=b"}),
    Lie("smallbearer", None, token={"token_type": "bearer"}),
]  # fmt: skip

# Of the ID token: what it says.
CLAIMS = [
    Lie("issother", claims={"iss": "https://accounts.example"}),
    Lie("issnone", claims={"iss": None}),
    Lie("isslist", claims={"iss": ["https://accounts.example"]}),
    Lie("audother", claims={"aud": "another-client"}),
    Lie("audnone", claims={"aud": None}),
    Lie("audempty", claims={"aud": []}),
    Lie("audlistother", claims={"aud": ["another-client", "a-third-one"]}),
    # Like a list of our id would be, if letters were looked for in it.
    Lie("audlonger", claims={"aud": CLIENT_ID + "-2"}),
    Lie("audtwo", claims={"aud": [CLIENT_ID, "another-client"]}),
    Lie("azpother", claims={"aud": [CLIENT_ID, "another-client"], "azp": "another-client"}),
    Lie("azpalone", claims={"azp": "another-client"}),
    Lie("azplist", claims={"azp": [CLIENT_ID]}),
    Lie("azpobject", claims={"azp": {CLIENT_ID: 1}}),
    Lie("nonceother", claims={"nonce": "n" * 43}),
    Lie("noncenone", claims={"nonce": None}),
    Lie("noncelist", claims={"nonce": []}),
    Lie("exppast", claims={"exp": NOW, "iat": NOW - 5 * MINUTES}),
    Lie("expnone", claims={"exp": None}),
    Lie("exptext", claims={"exp": str(FAR)}),
    Lie("exptrue", claims={"exp": True}),
    Lie("expnan", sign=_with_text('{CLAIMS, "exp": NaN}')),
    Lie("expinfinite", sign=_with_text('{CLAIMS, "exp": 1e999}')),
    Lie("iatfuture", claims={"iat": FAR, "exp": FAR + 5 * MINUTES}),
    Lie("iatnone", claims={"iat": None}),
    Lie("nbffuture", claims={"nbf": FAR}),
    Lie("subnone", claims={"sub": None}),
    Lie("subempty", claims={"sub": ""}),
    Lie("subnumber", claims={"sub": int(SUBJECT)}),
    Lie("sublist", claims={"sub": [SUBJECT]}),
    Lie("sublong", claims={"sub": "1" * 256}),
    Lie("subnul", claims={"sub": f"{SUBJECT}\0"}),
    Lie("claimslist", sign=_as_list),
    Lie("claimstwice", sign=_with_text('{"sub": "mallory", CLAIMS}')),
    Lie("expmanydigits", sign=_with_text('{CLAIMS, "exp": ' + "9" * 5000 + "}")),
    Lie("claimsdeep", sign=_with_text('{"a": ' + DEEP.decode() + "}")),
]

# Of the ID token: who signed it.
SIGNATURES = [
    Lie("long", claims={"new": "x" * 16_384}),
    Lie("headerdeep", sign=_with_header('{"alg": "RS256", "kid": "rsa", "a": ' + "[" * 5000)),
    Lie("headerhuge", sign=_with_header('{"alg": "RS256", "kid": ' + "9" * 5000 + "}")),
    Lie("headerlist", sign=_with_header('["RS256"]')),
    Lie("algnone", header={"alg": "none"}, sign=_unsigned),
    Lie("algnonemixed", header={"alg": "nOnE"}, sign=_unsigned),
    Lie("algmissing", header={"alg": None}, sign=_unsigned),
    Lie("alglist", header={"alg": ["RS256"]}, sign=_by_rsa_key),
    Lie("algobject", header={"alg": {"RS256": 1}}, sign=_by_rsa_key),
    Lie("algnumber", header={"alg": 256}, sign=_by_rsa_key),
    Lie("algunsigned", sign=_unsigned),
    Lie("hspublickey", header={"alg": "HS256"}, sign=_by_public_key),
    Lie("hsclientsecret", header={"alg": "HS256"}, sign=_by_client_secret),
    Lie("hsclientsecretnokid", header={"alg": "HS256", "kid": None}, sign=_by_client_secret),
    Lie("algnotoffered", discovery={"id_token_signing_alg_values_supported": ["ES256"]}),
    Lie("foreignrsakey", sign=_by_foreign_rsa_key),
    Lie("foreignkey", header={"alg": "ES256", "kid": "ec"}, sign=_by_foreign_key),
    Lie("foreignnokid", header={"alg": "ES256", "kid": None}, sign=_by_foreign_key),
    Lie("kidunknown", header={"kid": "another"}),
    Lie("kidnumber", header={"kid": 1}),
    Lie("kidlist", header={"kid": ["rsa"]}),
    Lie("kidpath", header={"kid": "../../../../dev/null"}),
    Lie("keyofother", header={"alg": "ES256", "kid": "ec"}, sign=_by_rsa_key),
    Lie("othersalg", header={"alg": "ES256", "kid": "rsa"}, sign=_by_rsa_key),
    Lie("jku", header={"alg": "ES256", "kid": "theirs", "jku": ""}, sign=_by_foreign_key),
    Lie("jwk", header={"alg": "ES256", "kid": None, "jwk": ec_jwk(foreign_key())},
        sign=_by_foreign_key),
    Lie("jwkkid", header={"alg": "ES256", "kid": "ec", "jwk": ec_jwk(foreign_key(), kid="ec")},
        sign=_by_foreign_key),
    Lie("xfive", header={"alg": "ES256", "x5u": METADATA, "x5c": ["AAAA"]}, sign=_by_foreign_key),
    Lie("crit", header={"crit": ["exp"], "exp": FAR}),
    Lie("critunknown", header={"crit": ["urn:example:new"], "urn:example:new": 1}),
    Lie("critbare", header={"crit": ["b64"], "b64": False}),
    Lie("exchanged", sign=_with_other_claims),
    Lie("twoparts", sign=_in_two_parts),
    Lie("fiveparts", sign=_in_five_parts),
    Lie("keysymmetric", header={"alg": "HS256", "kid": "shared"}, keys=_symmetric_keys,
        sign=_by_shared_key),
    Lie("keyforencryption", keys=_keys_for_encryption),
    Lie("keytiny", keys=_a_key_of_one_bit),
    Lie("keyshort", keys=_a_short_key, sign=_by_foreign_rsa_key),
    Lie("keysnone", keys=lambda: {"keys": []}),
    Lie("keysmissing", keys=dict),
    Lie("keysobject", keys=lambda: {"keys": {"rsa": rsa_jwk(rsa_key())}}),
    Lie("keysofnumbers", keys=lambda: {"keys": [1, None, "rsa", []]}),
    Lie("keyslist", keys=lambda: published()["keys"]),
]  # fmt: skip

# Of its endpoints: how they answer.
HTML = says(b"<html><h1>Welcome</h1></html>", kind="text/html")
REDIRECT = says(b"", 302, Location=METADATA)
DISCOVERY = ".well-known/openid-configuration"
ENDPOINTS = [
    *[
        Lie(f"{short}{name}", behaves={endpoint: behave}, is_terse=endpoint == "userinfo")
        for short, endpoint in (
            ("d", DISCOVERY),
            ("k", "jwks"),
            ("t", "token"),
            ("u", "userinfo"),
        )
        for name, behave in (
            ("html", HTML),
            ("redirect", REDIRECT),
            ("fault", says(b'{"error": "server_error"}', 500)),
            ("text", says(b"not JSON")),
            ("latin", says(b'{"issuer": "\xe9"}')),
            ("deep", says(DEEP)),
            ("list", says(b"[]")),
        )
    ],
    Lie("dendless", behaves={DISCOVERY: never_ends}),
    Lie("tendless", behaves={"token": never_ends}),
    Lie("ddrips", behaves={DISCOVERY: drips}),
    Lie("tdrips", behaves={"token": drips}),
    Lie("udrips", behaves={"userinfo": drips}, is_terse=True),
    Lie("dtype", types={DISCOVERY: "text/html"}),
    Lie("ktype", types={"jwks": "text/plain; charset=utf-8"}),
    Lie("ttype", types={"token": "text/html"}),
    Lie("utype", types={"userinfo": "image/svg+xml"}, is_terse=True),
    Lie("thangsup", behaves={"token": hangs_up}),
    Lie("tempty", behaves={"token": says(b"", 204)}),
    Lie("tclient", behaves={"token": says(b'{"error": "invalid_client"}', 401)}),
    Lie("tnotoken", token={"id_token": None}),
    Lie("tnumber", token={"id_token": 1}),
    Lie("tshort", token={"id_token": "a"}),
    Lie("tlong", token={"id_token": "a" * 200_000}),
    # This goes into a header of the next call.
    Lie("tline", token={"access_token": "a\r\nHost: 10.0.0.1"}, is_terse=True),
    Lie("tumlaut", token={"access_token": "ä"}, is_terse=True),
    Lie("uother", userinfo={"sub": "mallory"}, is_terse=True),
    Lie("usubnone", userinfo={"sub": None}, is_terse=True),
    Lie("usubnumber", userinfo={"sub": int(SUBJECT)}, is_terse=True),
    Lie("dissother", discovery={"issuer": "https://accounts.example"}),
    Lie("dissnone", discovery={"issuer": None}),
    Lie("disslist", discovery={"issuer": []}),
    Lie("dtprivate", discovery={"token_endpoint": "https://10.0.0.1/token"}),
    Lie("dtmetadata", discovery={"token_endpoint": METADATA}),
    Lie("dtplain", discovery={"token_endpoint": "http://192.0.2.1/token"}),
    Lie("dtfile", discovery={"token_endpoint": "file:///etc/passwd"}),
    Lie("dtnone", discovery={"token_endpoint": None}),
    Lie("dtnumber", discovery={"token_endpoint": 1}),
    Lie("dkprivate", discovery={"jwks_uri": "https://[fd00::1]/jwks"}),
    Lie("dknone", discovery={"jwks_uri": None}),
    Lie("duprivate", discovery={"userinfo_endpoint": "https://127.1.1.1@10.0.0.1/"}, is_terse=True),
    # The browser would be sent there.
    Lie("danone", discovery={"authorization_endpoint": None}),
    Lie("dascript", discovery={"authorization_endpoint": "javascript:alert(1)//"}),
    Lie("dadata", discovery={"authorization_endpoint": "data:text/html,<script>"}),
    Lie("daslashes", discovery={"authorization_endpoint": "//accounts.example/authorize"}),
    Lie("dalgnone", discovery={"id_token_signing_alg_values_supported": ["none"]},
        header={"alg": "none"}, sign=_unsigned),
    Lie("dalghs", discovery={"id_token_signing_alg_values_supported": ["HS256"]},
        header={"alg": "HS256", "kid": None}, sign=_by_client_secret),
]  # fmt: skip

# Where the issuer has TLS, nothing may lead away from it.
PLAIN = [
    Lie("aplain", discovery={"authorization_endpoint": "http://127.0.0.1/authorize"}),
    Lie("tplain", discovery={"token_endpoint": "http://127.0.0.1/token"}),
    Lie("kplain", discovery={"jwks_uri": "http://127.0.0.1/jwks"}),
    Lie("uplain", discovery={"userinfo_endpoint": "http://127.0.0.1/userinfo"}, is_terse=True),
]

# Of the callback: what the browser brings back.
CALLBACKS = [
    Lie("cissnone", 400, callback={"iss": None}),
    Lie("cissother", 400, callback={"iss": "https://accounts.example"}),
    Lie("cissunasked", 400, discovery={"authorization_response_iss_parameter_supported": None},
        callback={"iss": "https://accounts.example"}),
    Lie("cstatenone", 400, callback={"state": None}),
    Lie("cstateother", 400, callback={"state": "s" * 43}),
    Lie("cstatelong", 400, callback={"state": "s" * 3000}),
    Lie("cstatenul", 400, callback={"state": "\0"}),
    Lie("ccodenone", 400, callback={"code": None}),
    Lie("ccodeother", 502, callback={"code": "c" * 43}),
    Lie("cdenied", 403, callback={"code": None, "error": "access_denied"}),
    Lie("cdeniedhtml", 403, callback={"code": None, "error": "access_denied",
        "error_description": "<script>alert(1)</script>", "error_uri": "javascript:alert(1)"}),
    # Apple's word for it.
    Lie("ccancelled", 403, callback={"code": None, "error": "user_cancelled_authorize"}),
    Lie("cfault", 502, callback={"code": None, "error": "server_error"}),
    Lie("cbusy", 502, callback={"code": None, "error": "temporarily_unavailable"}),
    Lie("cunknown", 502, callback={"code": None, "error": "<b>new</b>"}),
    Lie("cboth", 403, callback={"error": "access_denied"}),
]  # fmt: skip

# Of the address: what is said of a stranger. Accounts have proven addresses, and the provider is
# trusted for example.com alone.
ADDRESSES = [
    Lie("evtext", None, claims={"email_verified": "true"}),
    Lie("evtitle", None, claims={"email_verified": "True"}),
    Lie("evone", None, claims={"email_verified": 1}),
    Lie("evlist", None, claims={"email_verified": [True]}),
    Lie("evobject", None, claims={"email_verified": {"value": True}}),
    Lie("evnone", None, claims={"email_verified": None}),
    Lie("evfalse", None, claims={"email_verified": False}),
    Lie("userinfotext", None, userinfo={"email_verified": "true"}, is_terse=True),
    # What the ID token says, userinfo must not improve.
    Lie("improved", None, claims={"email_verified": False}, userinfo={"email_verified": True}),
    Lie("addresslist", None, claims={"email": ["ada@example.com"]}),
    Lie("addressnumber", None, claims={"email": 1}),
    Lie("addresspair", None, claims={"email": "ada@example.com,mallory@example.org"}),
    Lie("addressnamed", None, claims={"email": "Ada <ada@example.com>"}),
    Lie("addressline", None, claims={"email": "ada@example.com\n"}),
    Lie("addressnul", None, claims={"email": "ada@example.com\0"}),
    Lie("addresslong", None, claims={"email": f"{'a' * 9000}@example.com"}),
    # Two Cyrillic letters, and a sign that only looks like @.
    Lie("lookalike", None, claims={"email": "аda@example.com"}),
    Lie("lookalikedomain", None, claims={"email": "ada@еxample.com"}),
    Lie("lookalikeat", None, claims={"email": "ada＠example.com"}),
    Lie("otherdomain", None, claims={"email": "ada@example.com.example.org"}),
    # These two have accounts as well.
    Lie("domainother", None, claims={"email": "carol@example.net"}),
    Lie("domainbelow", None, claims={"email": "dan@mail.example.com"}),
    Lie("proven", None, claims={"sub": "another-subject"}),
]

LIES = CLAIMS + SIGNATURES + ENDPOINTS + CALLBACKS
