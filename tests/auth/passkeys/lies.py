"""What can be wrong in the answer of a browser, as tables: one row for each lie.

``accepted`` is our verdict. ``theirs`` is the verdict of ``@simplewebauthn/server``
where it differs, and ``why`` says why it does.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import cbor2

from tests.auth.passkeys.authenticator import (
    CAN_SYNC,
    HAS_KEY,
    IS_SYNCED,
    ORIGIN,
    USER_PRESENT,
    USER_VERIFIED,
    Lies,
    to_text,
)

GOOD_FLAGS = USER_PRESENT | USER_VERIFIED
Twist = Callable[[dict[str, Any]], Any]

# Shared values: each list holds the one before twice, so 300 bytes stand for gigabytes.
LAUGHS = (
    b"\x98\x20\xd8\x1c\x82\x00\x00"
    + b"".join(
        b"\xd8\x1c\x82" + 2 * (b"\xd8\x1d" + (bytes([i]) if i < 24 else bytes([0x18, i])))
        for i in range(31)
    )
)  # fmt: skip
BOMBS = {
    "shared values": LAUGHS,
    "a cycle": b"\xd8\x1c\x81\xd8\x1d\x00",
    "a regular expression": b"\xd8\x23\x79\x0b\xb0" + b"(a?){1,9}()" * 272,
    "a decimal of a big number": b"\xc4\x82\x20\xc2\x59\x0b\xb8" + b"\xff" * 3000,
    "a list of 2**40": b"\x9b\x00\x00\x01\x00\x00\x00\x00\x00",
    "bytes of 2**40": b"\x5b\x00\x00\x01\x00\x00\x00\x00\x00",
    "a map of 2**60": b"\xbb\x10\x00\x00\x00\x00\x00\x00\x00",
    "depth": b"\x81" * 3000 + b"\x00",
    "no end": b"\x9f" * 3000,
    "half an item": b"\x59\xff",
}
WRONG_TYPES: list[Any] = [None, 1, 1.5, True, [], {}, ["AA"], {"a": "b"}, "", "=", "ä", "A", "A A"]


@dataclass(frozen=True)
class Case:
    name: str
    lies: Lies = field(default_factory=Lies, repr=False)
    algorithm: int = -7
    # Changes the JSON after the authenticator has written it.
    twist: Twist | None = field(default=None, repr=False)
    accepted: bool = False
    theirs: bool | None = None
    why: str = ""


def _wrong_origins() -> list[str]:
    return [
        "https://localhost:8000",
        "http://app.localhost:8000",
        "http://localhost:8001",
        "http://localhost",
        "http://localhost:8000/",
        "http://LOCALHOST:8000",
        "http://localhost:8000.evil.example",
        "null",
        "",
    ]


def _of_the_page(kind: str) -> list[Case]:
    """What the browser says of the page, in both ceremonies."""
    other = "webauthn.get" if kind == "webauthn.create" else "webauthn.create"
    framed = Lies(client_data={"crossOrigin": True})
    return [
        Case("the type of the other ceremony", Lies(type=other)),
        Case("another type", Lies(type="payment.get")),
        Case("another challenge", Lies(challenge=to_text(bytes(32)))),
        Case("no challenge", Lies(client_data={"challenge": None})),
        *[
            Case(f"origin {origin!r}", Lies(client_data={"origin": origin}))
            for origin in _wrong_origins()
        ],
        *[
            Case(f"origin {origin!r}", Lies(client_data={"origin": origin}))
            for origin in (None, 1, True, [ORIGIN], {"a": ORIGIN})
        ],
        Case(
            "crossOrigin",
            framed,
            theirs=True,
            why="It looks at crossOrigin only beside topOrigin, and never at a registration.",
        ),
        Case(
            "crossOrigin as a text",
            Lies(client_data={"crossOrigin": "false"}),
            theirs=True,
            why="As above.",
        ),
        Case(
            "crossOrigin and topOrigin",
            Lies(client_data={"crossOrigin": True, "topOrigin": "https://evil.example"}),
            theirs=kind == "webauthn.create",
            why="It never looks at topOrigin at a registration.",
        ),
        Case(
            "topOrigin alone",
            Lies(client_data={"topOrigin": ORIGIN}),
            theirs=kind == "webauthn.create",
            why="As above.",
        ),
        Case("a member from the future", Lies(client_data={"new": {"a": [1]}}), accepted=True),
        Case(
            "client data of 8 KiB",
            Lies(client_data={"new": "a" * 8192}),
            theirs=True,
            why="It has no limit.",
        ),
        Case("the domain of another site", Lies(rp_id="evil.example")),
        Case("the origin as the domain", Lies(rp_id=ORIGIN)),
        Case("bytes after the data", Lies(tail=b"\x00")),
        Case("extensions", Lies(extensions=cbor2.dumps({"credProtect": 2})), accepted=True),
        *[
            Case(
                f"extensions: {name}",
                Lies(extensions=bomb),
                theirs=False,
            )
            for name, bomb in BOMBS.items()
        ],
    ]


def _of_the_json(members: tuple[str, ...]) -> list[Case]:
    """Wrong types everywhere."""

    def at(path: tuple[str, ...], value: Any) -> Twist:
        def twist(credential: dict[str, Any]) -> Any:
            place = credential
            for name in path[:-1]:
                place = place[name]
            place[path[-1]] = value
            return credential

        return twist

    def without(*path: str) -> Twist:
        def twist(credential: dict[str, Any]) -> Any:
            place = credential
            for name in path[:-1]:
                place = place[name]
            del place[path[-1]]
            return credential

        return twist

    paths = [("id",), ("rawId",), ("type",), *[("response", member) for member in members]]
    return [
        *[
            Case(f"{'.'.join(path)} is {value!r}", twist=at(path, value))
            for path in paths
            for value in WRONG_TYPES
        ],
        *[Case(f"no {'.'.join(path)}", twist=without(*path)) for path in paths],
        *[
            Case(f"the response is {value!r}", twist=at(("response",), value))
            for value in WRONG_TYPES
        ],
        Case("no response", twist=without("response")),
        Case("an id that is not the rawId", twist=at(("id",), to_text(bytes(32)))),
        Case("a rawId that is not the id", twist=at(("rawId",), to_text(bytes(32)))),
        Case(
            "the id with padding",
            twist=lambda given: given | {"id": given["id"] + "=", "rawId": given["rawId"] + "="},
            theirs=True,
            why="It compares id and rawId as they are written.",
        ),
        Case("another type of credential", twist=at(("type",), "password")),
        Case("clientDataJSON is a list", twist=at(("response", "clientDataJSON"), to_text(b"[1]"))),
        Case(
            "clientDataJSON is deep",
            twist=at(("response", "clientDataJSON"), to_text(b"[" * 6000)),
        ),
        Case(
            "clientDataJSON in UTF-16",
            twist=at(("response", "clientDataJSON"), to_text(json.dumps({}).encode("utf-16"))),
        ),
        Case(
            "a response of 60,000 characters",
            twist=at(("response", members[0]), "A" * 60_000),
        ),
        Case("a member from the future", twist=at(("new",), {"a": 1}), accepted=True),
        Case("in the response too", twist=at(("response", "new"), {"a": 1}), accepted=True),
        Case(
            "an attachment from the future",
            twist=at(("authenticatorAttachment",), "implant"),
            accepted=True,
        ),
        *[
            Case(
                f"results of extensions are {value!r}",
                twist=at(("clientExtensionResults",), value),
                accepted=True,
            )
            for value in (None, [], 1)
        ],
    ]


REGISTRATIONS = [
    *[Case(f"the truth, {name}", algorithm=alg, accepted=True)
      for name, alg in (("ES256", -7), ("RS256", -257), ("EdDSA", -8))],
    *_of_the_page("webauthn.create"),
    *_of_the_json(("clientDataJSON", "attestationObject")),
    Case("nobody is present", Lies(flags=USER_VERIFIED | HAS_KEY)),
    Case("the user is not verified", Lies(flags=USER_PRESENT | HAS_KEY), accepted=True),
    Case("a key that may be synced", Lies(flags=GOOD_FLAGS | HAS_KEY | CAN_SYNC), accepted=True),
    Case(
        "synced, though it cannot be",
        Lies(flags=GOOD_FLAGS | HAS_KEY | IS_SYNCED),
    ),
    Case("no key", Lies(flags=GOOD_FLAGS)),
    Case("ES384", algorithm=-35),
    Case("ES384 that calls itself ES256", Lies(cose={3: -7}), algorithm=-35, theirs=True,
         why="It looks at the key only when it is used."),
    Case("ES256 that calls itself ES384", Lies(cose={3: -35})),
    Case("ES256 that calls itself RS256", Lies(cose={3: -257}), theirs=True, why="As above."),
    Case("an RSA key that calls itself ES256", Lies(cose={3: -7}), algorithm=-257, theirs=True,
         why="As above."),
    Case("an unknown algorithm", Lies(cose={3: 2**40})),
    Case("an algorithm that is not a number", Lies(cose={3: "ES256"})),
    Case("no algorithm", Lies(cose={3: None})),
    Case("a point that is not on the curve", Lies(cose={-2: bytes(32)}), theirs=True,
         why="As above."),
    Case("an RSA key of 512 bits", Lies(cose={-1: b"\xc5" + bytes(62) + b"\x01"}), algorithm=-257,
         theirs=True, why="As above."),
    Case("an RSA key of 32,768 bits", Lies(cose={-1: b"\xc5" + bytes(4094) + b"\x01"}),
         algorithm=-257, theirs=True, why="As above."),
    Case("an id of 1,023 bytes", Lies(credential_id=bytes([7]) * 1023), accepted=True),
    Case("an id of 1,024 bytes", Lies(credential_id=bytes(1024)), theirs=True,
         why="It does not look at the length."),
    Case("another id in the data of the authenticator",
         twist=lambda given: given | {"id": to_text(bytes(16)), "rawId": to_text(bytes(16))},
         theirs=True, why="It stores the id that the authenticator names."),
    Case("self-attestation", Lies(fmt="packed"), accepted=True),
    Case("self-attestation with another signature",
         Lies(fmt="packed", statement={"alg": -7, "sig": bytes(70)})),
    Case("self-attestation by another algorithm",
         Lies(fmt="packed", statement={"alg": -257, "sig": bytes(70)})),
    Case("self-attestation without a signature", Lies(fmt="packed", statement={"alg": -7})),
    Case("packed junk", Lies(fmt="packed", statement={"x5c": [b"junk"], "alg": -7, "sig": b"x"})),
    Case("none with a statement", Lies(statement={"alg": -7})),
    Case("none with an unknown statement", Lies(statement={"new": 1})),
    Case("an unknown attestation", Lies(fmt="mine")),
    *[Case(f"an attestation {name}", Lies(fmt=name, statement={"ver": "2.0"}))
      for name in ("tpm", "apple", "android-key", "android-safetynet", "fido-u2f")],
    *[Case(f"the attestation is {name}", Lies(attestation=bomb)) for name, bomb in BOMBS.items()],
    *[
        Case(f"the attestation is {value!r}", Lies(attestation=cbor2.dumps(value)))
        for value in (1, [], {}, "a", {"fmt": "none"}, {"fmt": 1, "attStmt": 2, "authData": 3},
                      {"fmt": "none", "attStmt": {}, "authData": b""},
                      {"fmt": "none", "attStmt": {}, "authData": bytes(37)},
                      {"fmt": "none", "attStmt": {}, "authData": bytes(32) + b"\xff" * 60})
    ],
]  # fmt: skip

ASSERTIONS = [
    *[Case(f"the truth, {name}", algorithm=alg, accepted=True)
      for name, alg in (("ES256", -7), ("RS256", -257), ("EdDSA", -8))],
    *_of_the_page("webauthn.get"),
    *_of_the_json(("clientDataJSON", "authenticatorData", "signature")),
    Case("nobody is present", Lies(flags=USER_VERIFIED)),
    Case("the user is not verified", Lies(flags=USER_PRESENT)),
    Case("the key may be synced by now", Lies(flags=GOOD_FLAGS | CAN_SYNC), theirs=True,
         why="It does not know what the flag was at the registration."),
    Case("synced, though it cannot be", Lies(flags=GOOD_FLAGS | IS_SYNCED)),
    Case("a key is said to follow", Lies(flags=GOOD_FLAGS | HAS_KEY)),
    Case("another signature", Lies(signature=bytes(70))),
    Case("the signature of another key", Lies(signature=bytes.fromhex(
        "3006020101020101"))),
    Case("an empty user handle",
         twist=lambda given: given | {"response": given["response"] | {"userHandle": ""}},
         theirs=True, why="It leaves the user handle to us."),
    Case("another user handle", Lies(user_handle=bytes(32)), theirs=True, why="As above."),
    Case("no user handle",
         twist=lambda given: given | {"response": given["response"] | {"userHandle": None}},
         theirs=True, why="As above."),
    Case("a user handle that is a number",
         twist=lambda given: given | {"response": given["response"] | {"userHandle": 7}}),
    Case("another id", Lies(credential_id=bytes(32)), theirs=True,
         why="It leaves to us whose key an id names."),
]  # fmt: skip
