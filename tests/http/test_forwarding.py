"""Whose address a request has."""

import json
import logging
import socket
from collections.abc import Callable
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Any

import pytest
import requests
from flask import Flask
from flask.testing import FlaskClient
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import select
from werkzeug.test import TestResponse

from app.doctor import deployment_warnings
from app.extensions import db
from app.http.forwarding import client_behind, forwarding_ignored
from app.models import DeploymentWarning, Session, User
from tests.conftest import ENVIRONMENT
from tests.factories import API, PASSWORD
from tests.servers import free_port, serving

SPOOFED = {
    "X-Forwarded-For": "203.0.113.9",
    "Forwarded": "for=203.0.113.9;proto=https;host=evil.example",
    "X-Real-IP": "203.0.113.9",
    "X-Client-IP": "203.0.113.9",
    "X-Cluster-Client-IP": "203.0.113.9",
    "X-Original-Forwarded-For": "203.0.113.9",
    "CF-Connecting-IP": "203.0.113.9",
    "True-Client-IP": "203.0.113.9",
    "Fastly-Client-IP": "203.0.113.9",
    "X-Forwarded-Host": "evil.example",
    "X-Forwarded-Proto": "https",
    "X-Forwarded-Prefix": "/evil",
    "X-User-Id": "1",
}


def addresses(app: Flask) -> list[str | None]:
    with app.app_context():
        return list(db.session.scalars(select(Session.ip)))


def log_in(client: FlaskClient, peer: str, **headers: str) -> TestResponse:
    response = client.post(
        f"{API}/auth/login",
        json={"username": "ada", "password": PASSWORD},
        headers={name.replace("_", "-"): value for name, value in headers.items()},
        environ_base={"REMOTE_ADDR": peer},
    )
    assert response.status_code == 200, response.text
    return response


# In the door


@pytest.mark.parametrize("header", SPOOFED)
def test_no_header_claims_another_address(
    app: Flask, client: FlaskClient, ada: User, header: str
) -> None:
    log_in(client, "192.0.2.7", **{header: SPOOFED[header]})

    assert addresses(app) == ["192.0.2.7"]


@pytest.mark.parametrize("header", [name for name in SPOOFED if name != "X-Forwarded-For"])
def test_not_even_a_trusted_proxy_says_it_in_another_header(
    make_app: Callable[..., Flask], ada: User, header: str
) -> None:
    app = make_app(TRUSTED_PROXIES="192.0.2.7")

    log_in(app.test_client(), "192.0.2.7", **{header: SPOOFED[header]})

    assert addresses(app) == ["192.0.2.7"]


@pytest.mark.parametrize("header", ["X-Forwarded-Host", "X-Forwarded-Proto", "X-Forwarded-Prefix"])
def test_no_header_moves_what_is_linked_to(client: FlaskClient, header: str) -> None:
    account = {"email": "eve@example.com", "username": "eve", "password": PASSWORD}

    response = client.post(f"{API}/auth/register", json=account, headers={header: SPOOFED[header]})

    assert response.headers["Location"].startswith(f"{API}/users/")


def test_a_user_id_in_a_header_is_nobody(client: FlaskClient, ada: User) -> None:
    response = client.get(f"{API}/users/me", headers={"X-User-Id": str(ada.id)})

    assert response.status_code == 401


def test_a_trusted_proxy_says_whom_it_speaks_for(make_app: Callable[..., Flask], ada: User) -> None:
    app = make_app(TRUSTED_PROXIES="192.0.2.0/24")

    log_in(app.test_client(), "192.0.2.7", X_Forwarded_For="203.0.113.9")

    assert addresses(app) == ["203.0.113.9"]


def test_what_the_client_made_up_stands_to_the_left_and_is_not_read(
    make_app: Callable[..., Flask], ada: User
) -> None:
    app = make_app(TRUSTED_PROXIES="192.0.2.0/24")

    log_in(app.test_client(), "192.0.2.7", X_Forwarded_For="10.1.1.1, 203.0.113.9, 192.0.2.8")

    assert addresses(app) == ["203.0.113.9"]


def test_headers_that_are_sent_twice_are_one_list(
    make_app: Callable[..., Flask], ada: User
) -> None:
    app = make_app(TRUSTED_PROXIES="192.0.2.7")
    headers = [("X-Forwarded-For", "10.1.1.1"), ("X-Forwarded-For", "203.0.113.9")]

    app.test_client().post(
        f"{API}/auth/login",
        json={"username": "ada", "password": PASSWORD},
        headers=headers,
        environ_base={"REMOTE_ADDR": "192.0.2.7"},
    )

    assert addresses(app) == ["203.0.113.9"]


def test_an_untrusted_peer_of_a_service_with_proxies_is_itself(
    make_app: Callable[..., Flask], ada: User
) -> None:
    app = make_app(TRUSTED_PROXIES="192.0.2.7")

    log_in(app.test_client(), "198.51.100.1", X_Forwarded_For="203.0.113.9")

    assert addresses(app) == ["198.51.100.1"]


def test_an_ipv4_address_in_ipv6_is_the_ipv4_address(app: Flask, ada: User) -> None:
    log_in(app.test_client(), "::ffff:192.0.2.7")

    assert addresses(app) == ["192.0.2.7"]


def test_a_trusted_proxy_is_known_in_either_clothes(
    make_app: Callable[..., Flask], ada: User
) -> None:
    app = make_app(TRUSTED_PROXIES="192.0.2.7")

    log_in(app.test_client(), "::ffff:192.0.2.7", X_Forwarded_For="::ffff:203.0.113.9")

    assert addresses(app) == ["203.0.113.9"]


def test_a_zone_is_no_part_of_an_address(app: Flask, ada: User) -> None:
    log_in(app.test_client(), "fe80::1%a-very-long-interface-name-of-a-host")

    assert addresses(app) == ["fe80::1"]


def test_a_socket_without_an_address_is_nobodys(app: Flask, ada: User) -> None:
    log_in(app.test_client(), "", X_Forwarded_For="203.0.113.9")

    assert addresses(app) == [None]


@pytest.mark.parametrize(
    ("proxies", "seen"), [({}, "127.0.0.1"), ({"TRUSTED_PROXIES": "127.0.0.0/8"}, "203.0.113.9")]
)
def test_the_access_log_has_the_same_address(
    tmp_path: Any, proxies: dict[str, str], seen: str
) -> None:
    log = tmp_path / "log"
    with serving(
        log,
        **ENVIRONMENT,
        **proxies,
        DATABASE_URL=f"sqlite:///{tmp_path / 'app.db'}",
        LOG_FORMAT="json",
        WEB_CONCURRENCY="1",
    ) as server:
        requests.get(
            f"{server.url}/docs", headers={"X-Forwarded-For": "203.0.113.9"}, timeout=30
        ).raise_for_status()

    (line,) = [line for line in log.read_text().splitlines() if '"/docs"' in line]
    assert f'"ip": "{seen}"' in line


# The walk through the list

PROXIES = [ip_network("10.0.0.0/8"), ip_network("fd00::/8")]
PEER = ip_address("10.0.0.1")


@pytest.mark.parametrize(
    ("forwarded", "client"),
    [
        ("", "10.0.0.1"),
        ("203.0.113.9", "203.0.113.9"),
        (" 203.0.113.9 ", "203.0.113.9"),
        ("203.0.113.9,10.0.0.2", "203.0.113.9"),
        ("198.51.100.1, 203.0.113.9, 10.0.0.3, 10.0.0.2", "203.0.113.9"),
        ("10.0.0.4, 10.0.0.3, 10.0.0.2", "10.0.0.4"),
        ("2001:db8::9, fd00::2", "2001:db8::9"),
        ("::ffff:203.0.113.9", "203.0.113.9"),
        ("203.0.113.9, ::ffff:10.0.0.2", "203.0.113.9"),
        ("203.0.113.9, unknown", "10.0.0.1"),
        ("203.0.113.9, _hidden, 10.0.0.2", "10.0.0.2"),
        ("203.0.113.9:5678", "203.0.113.9"),
        ("203.0.113.9, 10.0.0.2:4711", "203.0.113.9"),
        ("198.51.100.1, 203.0.113.9:1, 10.0.0.3:2, 10.0.0.2:3", "203.0.113.9"),
        ("[2001:db8::9]", "2001:db8::9"),
        ("[2001:db8::9]:80", "2001:db8::9"),
        ("[2001:db8::9]:80, [fd00::2]:65535", "2001:db8::9"),
        ("[::ffff:203.0.113.9]:80", "203.0.113.9"),
        ("[fe80::1%25eth0]:80", "fe80::1"),
        ("fe80::1%eth0", "fe80::1"),
        ("203.0.113.9,", "203.0.113.9"),
        (",203.0.113.9, , 10.0.0.2,,", "203.0.113.9"),
        (",", "10.0.0.1"),
        ("203.0.113.9, 10.0.0.2:", "10.0.0.1"),
        ("203.0.113.9, 10.0.0.2:http", "10.0.0.1"),
        ("203.0.113.9, 10.0.0.2:123456", "10.0.0.1"),
        ("203.0.113.9, [10.0.0.2", "10.0.0.1"),
        ("203.0.113.9, []:80", "10.0.0.1"),
        ("203.0.113.9, unix:", "10.0.0.1"),
        ("203.0.113.9, " + "1" * 9000, "10.0.0.1"),
        ("203.0.113.9" + ", 10.0.0.2" * 100, "10.0.0.2"),
        ("010.0.0.2", "10.0.0.1"),
        ("203.0.113.9 10.0.0.2", "10.0.0.1"),
        ("١.١.١.١", "10.0.0.1"),
    ],
)
def test_the_list_is_read_from_the_right_up_to_the_first_who_is_not_trusted(
    forwarded: str, client: str
) -> None:
    assert str(client_behind(PEER, forwarded, PROXIES)) == client


@pytest.mark.parametrize(
    ("forwarded", "count", "client"),
    [
        ("203.0.113.9", 1, "203.0.113.9"),
        ("198.51.100.1, 203.0.113.9", 1, "203.0.113.9"),
        ("198.51.100.1, 203.0.113.9:4711, 192.0.2.1", 2, "203.0.113.9"),
        ("198.51.100.1, [2001:db8::9]:80, , 192.0.2.1,", 2, "2001:db8::9"),
        ("10.0.0.5", 1, "10.0.0.5"),
        ("203.0.113.9", 2, "203.0.113.9"),
        ("", 2, "10.0.0.1"),
        ("203.0.113.9, unknown, 192.0.2.1", 3, "192.0.2.1"),
        ("198.51.100.1, 203.0.113.9, unix:", 2, "203.0.113.9"),
    ],
)
def test_the_list_is_read_as_far_as_there_are_proxies(
    forwarded: str, count: int, client: str
) -> None:
    assert str(client_behind(PEER, forwarded, [], count)) == client


def test_a_hop_through_a_unix_socket_is_passed_over_where_that_is_trusted() -> None:
    assert str(client_behind(None, "203.0.113.9, unix:", ["unix"])) == "203.0.113.9"
    assert client_behind(None, "unix:", ["unix"]) is None


made_up = st.lists(st.one_of(st.ip_addresses().map(str), st.text(max_size=20), st.just("")))
trusted_hops = st.lists(
    st.one_of(st.ip_addresses(network="10.0.0.0/8"), st.ip_addresses(network="fd00::/8")),
    max_size=5,
)
outside = st.one_of(
    st.ip_addresses(network="203.0.113.0/24"), st.ip_addresses(network="2001:db8::/32")
)


@given(made_up, outside, trusted_hops)
def test_nothing_to_the_left_of_the_client_matters(
    claimed: list[str], client: Any, hops: list[Any]
) -> None:
    forwarded = ",".join([*claimed, str(client), *map(str, hops)])

    assert client_behind(PEER, forwarded, PROXIES) == client


@given(made_up, outside, st.lists(st.ip_addresses(), max_size=3))
def test_nor_does_it_where_only_the_number_of_proxies_is_known(
    claimed: list[str], client: Any, hops: list[Any]
) -> None:
    forwarded = ",".join([*claimed, str(client), *map(str, hops)])

    assert client_behind(PEER, forwarded, [], count=len(hops) + 1) == client


@given(st.text())
def test_whatever_is_sent_the_client_is_an_address(forwarded: str) -> None:
    client = client_behind(PEER, forwarded, PROXIES)

    assert ip_address(str(client)) == client


# Behind a UNIX socket


def test_a_trusted_unix_socket_says_for_whom_it_speaks(
    make_app: Callable[..., Flask], ada: User
) -> None:
    app = make_app(TRUSTED_PROXIES="unix,10.0.0.0/8")

    log_in(app.test_client(), "", X_Forwarded_For="198.51.100.1, 203.0.113.9:4711, 10.0.0.2")

    assert addresses(app) == ["203.0.113.9"]


def test_trusting_a_unix_socket_trusts_nobody_else(
    make_app: Callable[..., Flask], ada: User
) -> None:
    app = make_app(TRUSTED_PROXIES="unix")

    log_in(app.test_client(), "192.0.2.7", X_Forwarded_For="203.0.113.9")

    assert addresses(app) == ["192.0.2.7"]


@pytest.mark.parametrize("peer", ["192.0.2.7", "::1", ""])
def test_a_number_of_proxies_is_believed_whoever_the_last_one_is(
    make_app: Callable[..., Flask], ada: User, peer: str
) -> None:
    app = make_app(TRUSTED_PROXY_COUNT="2")

    log_in(app.test_client(), peer, X_Forwarded_For="198.51.100.1, 203.0.113.9, 192.0.2.8")

    assert addresses(app) == ["203.0.113.9"]


def through(path: str, name: str, **headers: str) -> None:
    """Ask for a page over a UNIX socket, as a client whose end has this name."""
    with socket.socket(socket.AF_UNIX) as client:
        if name:
            client.bind(name)
        client.settimeout(20)
        client.connect(path)
        lines = [f"{key.replace('_', '-')}: {value}" for key, value in headers.items()]
        client.sendall("\r\n".join(["GET /docs HTTP/1.1", "Host: a", *lines, "", ""]).encode())
        assert client.recv(100).startswith(b"HTTP/1.1 200 ")


def test_gunicorn_on_a_unix_socket_tells_clients_apart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    log, path = tmp_path / "log", str(tmp_path / "s")
    with serving(
        log,
        **ENVIRONMENT,
        TRUSTED_PROXIES="unix",
        DATABASE_URL=f"sqlite:///{tmp_path / 'app.db'}",
        LOG_FORMAT="json",
        WEB_CONCURRENCY="1",
        GUNICORN_CMD_ARGS=f"--bind unix:{path} --bind 127.0.0.1:{(port := free_port())}",
        port=port,
    ):
        through(path, "", X_Forwarded_For="203.0.113.9:4711", X_Request_ID="first")
        # Two lines of one header are one list.
        twice = "198.51.100.1\r\nX-Forwarded-For: 203.0.113.8"
        through(path, "", X_Forwarded_For=twice, X_Request_ID="second")
        # A client chooses the name of its own end; it may look like an address.
        through(path, "192.0.2.1", X_Request_ID="third")

    lines = [json.loads(line) for line in log.read_text().splitlines() if '"/docs"' in line]
    seen = {line["request_id"]: line["ip"] for line in lines}
    assert seen == {"first": "203.0.113.9", "second": "203.0.113.8", "third": ""}


# Hints for the operator


@pytest.mark.parametrize(("trusted", "from_proxy"), [("", False), ("127.0.0.1", True)])
def test_it_announces_headers_of_no_use_and_writes_nothing_itself(
    make_app: Callable[..., Flask],
    trusted: str,
    from_proxy: bool,
) -> None:
    app = make_app(TRUSTED_PROXIES=trusted)
    heard: list[dict[str, Any]] = []

    def hear(_app: Flask, **what: Any) -> None:
        heard.append(what)

    # The doctor writes down what it hears. Here somebody else listens in its place.
    forwarding_ignored.disconnect(deployment_warnings._note_forwarding, app)
    with forwarding_ignored.connected_to(hear, app):
        answer = app.test_client().get("/healthz", headers={"X-Real-IP": "203.0.113.9"})
        before_the_end = list(heard)
        answer.close()

    assert before_the_end == []
    assert heard == [{"from_proxy": from_proxy, "detail": "X-Real-IP from 127.0.0.1"}]
    with app.app_context():
        assert db.session.scalars(select(DeploymentWarning)).all() == []


def test_forwarding_headers_of_an_untrusted_peer_are_told_once_in_an_hour(
    app: Flask, client: FlaskClient, caplog: pytest.LogCaptureFixture
) -> None:
    app.extensions.pop("deployment_warnings", None)
    caplog.set_level(logging.WARNING)

    for _ in range(3):
        client.get("/healthz", headers={"X-Forwarded-For": "203.0.113.9"}, buffered=True)

    (line,) = [r for r in caplog.records if "TRUSTED_PROXIES" in r.getMessage()]
    assert line.__dict__["detail"] == "X-Forwarded-For from 127.0.0.1"
