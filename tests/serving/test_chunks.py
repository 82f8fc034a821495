"""A body in chunks, without a server around it."""

import time

import pytest
from gunicorn.http.body import ChunkedReader
from gunicorn.http.unreader import IterUnreader

from app.serving.client_socket import Chunks

KIB_64 = 64 * 1024


def body_in(*chunks: bytes, extension: bytes = b"") -> Chunks:
    sent = b"".join(b"%x%s\r\n%s\r\n" % (len(one), extension, one) for one in chunks)
    pieces = [sent[at : at + 8192] for at in range(0, len(sent), 8192)]
    return Chunks(ChunkedReader(object(), IterUnreader([*pieces, b"0\r\n\r\n"])))


@pytest.mark.parametrize("size", [64, 1000, KIB_64])
def test_a_body_may_have_chunks_of_any_usual_size(size: int) -> None:
    chunks = [b"a" * size] * (KIB_64 // size)

    assert body_in(*chunks).read(KIB_64 + 1) == b"".join(chunks)


def test_a_short_body_may_have_chunks_of_a_byte() -> None:
    assert body_in(*[b"a"] * 1000).read(KIB_64) == b"a" * 1000


@pytest.mark.parametrize("extension", [b"", b";" + b"a" * 100])
def test_a_long_body_in_chunks_of_a_byte_is_refused_before_it_takes_long(extension: bytes) -> None:
    body = body_in(*[b"a"] * KIB_64, extension=extension)

    began = time.process_time()
    with pytest.raises(ConnectionResetError):
        body.read(KIB_64)

    assert time.process_time() - began < 0.05
