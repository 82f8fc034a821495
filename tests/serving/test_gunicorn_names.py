"""The names of gunicorn that our worker rests on. None of them is documented by gunicorn.

A new version of gunicorn may rename or add something. These tests then name
it, before a request is lost at a stop.
"""

import inspect
import re
from typing import Any

import pytest
from gunicorn.http.body import Body, ChunkedReader
from gunicorn.http.message import Message, Request
from gunicorn.http.parser import RequestParser
from gunicorn.workers import base
from gunicorn.workers.gthread import TConn, ThreadWorker

from app.serving.client_socket import Chunks
from app.serving.worker import Client, Head, Worker

# Our class, gunicorn's, and the methods of gunicorn's that ours replaces.
REPLACED = [
    (
        Worker,
        ThreadWorker,
        {
            *("__init__", "init_process", "init_signals", "notify", "accept", "handle"),
            *("on_pending_socket_readable", "on_client_socket_readable", "handle_request"),
            *("murder_pending", "set_accept_enabled", "_cap_keepalive"),
        },
    ),
    (Client, TConn, {"init", "close"}),
    (Head, Request, {"parse"}),
    (Chunks, ChunkedReader, {"__init__", "read"}),
]
# Attributes that our worker reads or sets.
OF_A_WORKER = (
    *("cfg", "sockets", "alive", "worker_connections", "max_keepalived", "nr_conns"),
    *("pending_conns", "keepalived_conns", "poller"),
)
OF_A_CONNECTION = ("sock", "parser", "timeout")


def methods(of: type) -> set[str]:
    return {name for name, value in vars(of).items() if inspect.isfunction(value)}


@pytest.mark.parametrize(("ours", "theirs", "names"), REPLACED)
def test_a_method_of_ours_replaces_one_of_gunicorn_only_if_it_is_named_here(
    ours: type, theirs: type, names: set[str]
) -> None:
    replaced = {name for name in methods(ours) if inspect.isfunction(getattr(theirs, name, None))}

    assert replaced == names


@pytest.mark.parametrize(
    ("ours", "theirs", "name"),
    [
        (ours, theirs, name)
        for ours, theirs, names in REPLACED
        for name in sorted(names - {"__init__"})
    ],
)
def test_gunicorn_calls_the_method_with_as_many_arguments_as_ours_takes(
    ours: type, theirs: type, name: str
) -> None:
    def places(method: Any) -> int:
        return len(inspect.signature(method).parameters)

    assert places(getattr(ours, name)) == places(getattr(theirs, name))


def assigned(name: str, *classes: type) -> bool:
    """Whether one of the classes sets this attribute of its objects."""
    sources = "".join(inspect.getsource(each) for each in classes)
    return re.search(rf"self\.{name}\b.* = ", sources) is not None


def test_gunicorns_worker_has_the_attributes_that_ours_uses() -> None:
    assert [name for name in OF_A_WORKER if not assigned(name, ThreadWorker, base.Worker)] == []


def test_gunicorns_connection_has_the_attributes_that_ours_uses() -> None:
    assert [name for name in OF_A_CONNECTION if not assigned(name, TConn)] == []


def test_the_parser_makes_requests_of_the_class_that_we_set() -> None:
    assert RequestParser.mesg_class is Request


def test_a_request_has_a_limit_for_its_headers_that_ours_lowers() -> None:
    assert assigned("max_buffer_headers", Message)


def test_a_body_has_a_reader_that_ours_wraps() -> None:
    reader = object()

    assert Body(reader).reader is reader


def test_the_reader_of_a_body_in_chunks_has_a_parser_that_ours_wraps() -> None:
    assert assigned("parser", ChunkedReader)
