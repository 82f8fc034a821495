"""What the OpenAPI document says of headers. The decorators that heed a header leave a note."""

from typing import Any

TEXT = {"type": "string"}
TAG = {"ETag": {"description": "Changes whenever the answer changes (RFC 9110).", "schema": TEXT}}
IF_MATCH = {
    "name": "If-Match",
    "in": "header",
    "schema": TEXT,
    "description": "The `ETag` that was read. If there is another one by now, the answer is 412.",
}
IF_NONE_MATCH = {
    "name": "If-None-Match",
    "in": "header",
    "schema": TEXT,
    "description": "The `ETag` that was read. If it is still the same, the answer is 304.",
}
IDEMPOTENCY_KEY = {
    "name": "Idempotency-Key",
    "in": "header",
    "schema": TEXT | {"pattern": "^[!-~]{1,200}$"},
    "description": "A random text. A repeated call with it does nothing again for 24 hours, and "
    "has the same answer.",
}
RATE_LIMITS = {
    "RateLimit-Policy": {
        "description": "The limits of the call: `q` calls in `w` seconds.",
        "schema": TEXT,
    },
    "RateLimit": {
        "description": "How many calls are left (`r`), and after how many seconds there is one "
        "more (`t`).",
        "schema": TEXT,
    },
}


def write(
    document: dict[str, Any], noted: dict[str, Any], *, method: str, **_: Any
) -> dict[str, Any]:
    """Add the headers that the notes name to the description of a call."""
    parameters: list[dict[str, Any]] = []
    responses = document["responses"]
    if noted.get("conditional"):
        parameters.append(IF_MATCH)
        if method == "get":
            parameters.append(IF_NONE_MATCH)
            responses["304"] = {"description": "Not Modified: `If-None-Match` matches"}
        if method in ("get", "patch"):
            _add_headers(responses, TAG, "200")
    if noted.get("idempotent"):
        parameters.append(IDEMPOTENCY_KEY)
    if noted.get("rate_limited"):
        _add_headers(responses, RATE_LIMITS, *(s for s in map(str, responses) if s[0] == "2"))
        _add_headers(responses, RATE_LIMITS, "429")
    if parameters:
        document["parameters"] = [*document.get("parameters", []), *parameters]
    return document


def _add_headers(responses: dict[Any, Any], headers: dict[str, Any], *statuses: str) -> None:
    for status, response in responses.items():
        if str(status) in statuses:
            response["headers"] = response.get("headers", {}) | headers
