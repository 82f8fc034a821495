"""No secret in anything that a real server prints, whatever happens, however much it logs.

``MAIL_URL=console://`` is left out: printing mails, links and all, is what it is for, and
``flask doctor`` calls it dangerous.
"""

import re
import socket
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from urllib.parse import quote
from uuid import uuid4

import pytest
import requests

from tests.conftest import ENVIRONMENT
from tests.factories import API, bearer
from tests.servers import Server, serving
from tests.serving.test_serving import needs_postgres, new_database
from tests.waiting import until

ADDRESS = "canary.of.the.address@example.com"
OTHER_ADDRESS = "canary.of.another.address@example.com"
PASSWORD = "canary of the password"
NEW_PASSWORD = "canary of the new password"
WRONG_PASSWORD = "canary of the wrong password"
JUNK = "canary-of-the-junk"

CHUNKED = (
    f"POST {API}/auth/login HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
    "Transfer-Encoding: chunked\r\n\r\n"
)


@pytest.fixture(
    scope="module",
    params=[
        pytest.param(("sqlite", "json"), marks=pytest.mark.xdist_group("secrets: sqlite, json")),
        pytest.param(("sqlite", "console"), marks=pytest.mark.xdist_group("secrets: console")),
        pytest.param(
            ("postgresql", "json"),
            marks=[needs_postgres, pytest.mark.xdist_group("secrets: postgresql")],
        ),
    ],
    ids="-".join,
)
def server(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    backend, log_format = request.param
    folder = tmp_path_factory.mktemp("secrets")
    with (
        new_database(backend, folder) as url,
        serving(
            folder / "log",
            **ENVIRONMENT,
            application="tests.breaking:app",
            DATABASE_URL=url,
            WEB_CONCURRENCY="1",
            LOG_FORMAT=log_format,
            LOG_LEVEL="DEBUG",
        ) as server,
    ):
        yield server


class Walk:
    """Everything that people do, and some do wrong; it keeps what must not be printed."""

    def __init__(self, server: Server, mail: Path) -> None:
        self.server = server
        self.mail = mail
        self.secrets = {ADDRESS, OTHER_ADDRESS, PASSWORD, NEW_PASSWORD, WRONG_PASSWORD, JUNK}

    def post(self, path: str, access: str = "", /, **body: str) -> requests.Response:
        headers = bearer(access) if access else {}
        return requests.post(f"{self.server.api}{path}", json=body, headers=headers, timeout=20)

    def log_in(self, password: str = PASSWORD, address: str = ADDRESS) -> dict[str, str]:
        response = self.post("/auth/login", email=address, password=password)
        pair: dict[str, str] = response.json()
        self.secrets |= {pair["access_token"], pair["refresh_token"]}
        return pair

    def mailed(self, page: str) -> str:
        """The token of the link to that page, from the newest mail."""

        def found() -> list[str]:
            letters = sorted(self.mail.glob("*"), key=lambda path: path.stat().st_mtime)
            text = "".join(letter.read_text() for letter in letters if letter.is_file())
            unfolded = text.replace("=\n", "").replace("=3D", "=")
            return re.findall(rf"/account/{page}#token=([\w-]+)", unfolded)

        token: str = until(found)[-1]
        self.secrets.add(token)
        return token

    def people(self) -> None:
        account = {"email": ADDRESS, "username": "canary", "password": PASSWORD}
        assert self.post("/auth/register", **account).status_code == 201
        assert self.post("/auth/register", **account).status_code == 400
        assert self.post("/auth/email/verify", token=self.mailed("verify-email")).status_code == 204
        for address in (ADDRESS, OTHER_ADDRESS):
            wrong = self.post("/auth/login", email=address, password=WRONG_PASSWORD)
            assert wrong.status_code == 401
        pair = self.log_in()
        access = pair["access_token"]
        refreshed = self.post("/auth/refresh", refresh_token=pair["refresh_token"]).json()
        self.secrets |= {refreshed["access_token"], refreshed["refresh_token"]}
        again = self.post("/auth/refresh", refresh_token=refreshed["refresh_token"]).json()
        self.secrets |= {again["access_token"], again["refresh_token"]}
        assert self.post("/auth/refresh", refresh_token=pair["refresh_token"]).status_code == 401
        assert self.post("/auth/reauthenticate", access, password=PASSWORD).status_code == 401
        access = self.log_in()["access_token"]
        assert self.post("/auth/email/change", access, new_email=OTHER_ADDRESS).status_code == 202
        confirmed = self.post("/auth/email/change/confirm", token=self.mailed("confirm-email"))
        assert confirmed.status_code == 204
        assert self.post("/auth/password/forgot", email=OTHER_ADDRESS).status_code == 202
        token = self.mailed("reset-password")
        reset = self.post("/auth/password/reset", token=token, new_password=NEW_PASSWORD)
        assert reset.status_code == 204
        again = self.post("/auth/password/reset", token=token, new_password=NEW_PASSWORD)
        assert again.status_code == 400
        self.log_in(NEW_PASSWORD, OTHER_ADDRESS)

    def bugs(self) -> None:
        for path in ("/broken", "/broken-statement"):
            response = requests.post(
                f"{self.server.url}{path}?token={JUNK}",
                json={"password": PASSWORD, "email": ADDRESS},
                headers=bearer(JUNK) | {"Cookie": f"session={JUNK}"},
                timeout=20,
            )
            assert response.status_code in (500, 503)

    def junk(self) -> None:
        body = f'{{"email": "{ADDRESS}", "password": "{PASSWORD}"'
        for sent in (body, body + ', "x": NaN}', body + ', "\\ud800": 1}', "[" * 5000 + JUNK):
            requests.post(
                f"{self.server.api}/auth/login",
                data=sent,
                headers={"Content-Type": "application/json"},
                timeout=20,
            )
        for raw in (
            f"GET /healthz?token={JUNK} HTTP/9.9\r\nHost: x\r\n\r\n",
            f"GET  /healthz?token={JUNK}  HTTP/1.1\r\nHost: x\r\n\r\n",
            f"GET /healthz?token={JUNK}\r\n\r\n",
            f"{JUNK} / HTTP/1.1\r\nHost: x\r\n\r\n",
            f"G\x01T /{JUNK}?{JUNK} HTTP/1.1\r\nHost: x\r\n\r\n",
            f"GET / HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {JUNK}\x01\r\n\r\n",
            f"GET / HTTP/1.1\r\nHost: x\r\nAuthorization : Bearer {JUNK}\r\n\r\n",
            f"GET / HTTP/1.1\r\nHost: x\r\nAuthorization Bearer {JUNK}\r\n\r\n",
            f"GET / HTTP/1.1\r\nHost: x\r\n Authorization: Bearer {JUNK}\r\n\r\n",
            f"GET / HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer\r\n {JUNK}\r\n\r\n",
            f"GET / HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {JUNK * 1000}\r\n\r\n",
            f"GET /healthz?token={JUNK * 1000} HTTP/1.1\r\nHost: x\r\n\r\n",
            f"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: {JUNK}\r\n\r\n",
            f"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: {JUNK}\r\n\r\n",
            f"{CHUNKED}{JUNK}\r\n",
            f"{CHUNKED}2;{JUNK}=\x01\r\n{{}}\r\n0\r\n\r\n",
            f"GET / HTTP/1.1\r\nHost: {JUNK}\x01\r\n\r\n",
            f"GET / HTTP/1.1\r\nHost: x\r\nExpect: {JUNK}\r\n\r\n",
            f"GET / HTTP/1.1\r\nHost: x\r\nX-Request-ID: {JUNK}!\r\nReferer: {JUNK}\r\n\r\n",
        ):
            port = int(self.server.url.rpartition(":")[2])
            with socket.create_connection(("127.0.0.1", port), timeout=20) as connection:
                connection.sendall(raw.encode("latin-1"))
                connection.shutdown(socket.SHUT_WR)
                with suppress(ConnectionError):
                    while connection.recv(65536):
                        pass


def test_nothing_that_is_printed_holds_a_secret(server: Server) -> None:
    walk = Walk(server, server.log.parent / "mail")

    walk.people()
    walk.bugs()
    walk.junk()
    requests.get(f"{server.url}/healthz", headers={"X-Request-ID": "the-last-of-them"}, timeout=20)
    until(lambda: "the-last-of-them" in server.log.read_text())

    log = server.log.read_text()
    assert "ZeroDivisionError" in log
    assert "nowhere" in log
    assert "mail delivered" in log
    assert "Invalid request" in log
    found = [line for line in log.splitlines() if any(part(s) in line for s in walk.secrets)]
    assert found == []
    assert not re.search(r"Bearer +\S|hs384\$|\$2b\$", log)


def part(secret: str) -> str:
    """Enough of it to be recognised; a token may be cut."""
    return secret if "canary" in secret else secret[-20:]


FORGERIES = (
    '\r\n{"event": "forged"}',
    "\n2026-11-22T08:00:00.000000Z [info     ] forged",
    "\x1b[31mforged\x1b[0m",
    "\u2028forged\u2029forged",
    "\x85forged\x9b31m",
)


@pytest.mark.parametrize("forgery", FORGERIES)
def test_nothing_that_a_client_sends_makes_a_line_of_its_own(server: Server, forgery: str) -> None:
    before = len(server.log.read_text())
    last = uuid4().hex
    requests.post(
        f"{server.api}/auth/login",
        json={"username": f"ada{forgery}", "password": f"wrong{forgery}"},
        timeout=20,
    )
    requests.get(f"{server.url}/{quote(f'nowhere{forgery}')}", timeout=20)
    agent = "".join(c for c in forgery if c not in "\r\n\x1b").encode("latin-1", "ignore")
    port = int(server.url.rpartition(":")[2])
    with socket.create_connection(("127.0.0.1", port), timeout=20) as connection:
        connection.sendall(
            b"GET /healthz HTTP/1.1\r\nHost: x\r\nX-Request-ID: " + last.encode() + b"\r\n"
            b"Connection: close\r\nUser-Agent: curl" + agent + b"\r\n\r\n"
        )
        while connection.recv(65536):
            pass
    until(lambda: last in server.log.read_text())

    lines = server.log.read_text()[before:].rstrip("\n").split("\n")
    assert len([line for line in lines if last in line]) == 1
    for line in lines:
        assert line.isprintable(), ascii(line)
        assert re.match(r'{"timestamp": "|[0-9-]{10}T[0-9:.]{15}Z \[[a-z]+ *\] (?!forged)', line)
