"""Sealing texts for rows, and digests, under the keys of the ring."""

import base64
from collections.abc import Callable, Iterator

import pytest
from flask import Flask

from app.security import key_ring
from app.security.key_ring import CannotOpen, Sealed

ROW = "totp_factors:42"
OLD, NEW = "o" * 32, "n" * 32

Ring = Callable[..., None]


@pytest.fixture
def ring(app: Flask, set_settings: Callable[..., None]) -> Iterator[Ring]:
    """Give the application other keys."""

    def keys(*, secret_key: str = "s" * 32, **data_keys: str) -> None:
        set_settings(data_keys=data_keys, secret_key=secret_key)

    with app.app_context():
        yield keys


def test_what_was_sealed_for_a_row_opens_for_that_row(ring: Ring) -> None:
    ring(old=OLD)

    sealed = key_ring.seal("a secret", row=ROW)

    assert key_ring.unseal(sealed, row=ROW) == "a secret"
    assert "a secret" not in sealed.text
    assert sealed.key_id == "old"


def test_it_does_not_open_for_another_row(ring: Ring) -> None:
    ring(old=OLD)
    sealed = key_ring.seal("a secret", row=ROW)

    for other in ("totp_factors:43", "totp_factors:4", "identities:42", ""):
        with pytest.raises(CannotOpen):
            key_ring.unseal(sealed, row=other)


def test_the_same_text_is_sealed_differently_each_time(ring: Ring) -> None:
    ring(old=OLD)

    assert len({key_ring.seal("a secret", row=ROW).text for _ in range(20)}) == 20


def test_a_text_that_was_changed_does_not_open(ring: Ring) -> None:
    ring(old=OLD)
    text = key_ring.seal("a secret", row=ROW).text
    raw = bytearray(base64.b64decode(text))
    raw[-1] ^= 1

    for changed in (base64.b64encode(raw).decode(), text[:-8], text[:8], "", "*", "é" + text):
        with pytest.raises(CannotOpen):
            key_ring.unseal(Sealed(changed, "old"), row=ROW)


def test_a_text_does_not_open_with_another_key_of_the_ring(ring: Ring) -> None:
    ring(new=NEW, old=OLD)
    sealed = key_ring.seal("a secret", row=ROW)

    with pytest.raises(CannotOpen):
        key_ring.unseal(Sealed(sealed.text, "old"), row=ROW)


def test_after_a_rotation_the_newest_key_seals_and_the_older_ones_open(ring: Ring) -> None:
    ring(old=OLD)
    before = key_ring.seal("a secret", row=ROW)

    ring(new=NEW, old=OLD)

    assert key_ring.unseal(before, row=ROW) == "a secret"
    assert key_ring.seal("a secret", row=ROW).key_id == key_ring.newest_key_id() == "new"


def test_what_was_sealed_before_data_keys_were_set_still_opens(ring: Ring) -> None:
    ring()
    before = key_ring.seal("a secret", row=ROW)

    ring(new=NEW)

    assert key_ring.unseal(before, row=ROW) == "a secret"
    assert key_ring.key_ids() == ["new", before.key_id]


def test_what_a_lost_key_sealed_does_not_open(ring: Ring) -> None:
    ring(old=OLD)
    before = key_ring.seal("a secret", row=ROW)

    ring(new=NEW)

    with pytest.raises(CannotOpen, match="There is no key old"):
        key_ring.unseal(before, row=ROW)


def test_without_data_keys_another_secret_key_is_a_lost_key(ring: Ring) -> None:
    ring(secret_key="a" * 32)
    before = key_ring.seal("a secret", row=ROW)

    ring(secret_key="b" * 32)

    assert before.key_id not in key_ring.key_ids()
    with pytest.raises(CannotOpen):
        key_ring.unseal(before, row=ROW)


def test_with_data_keys_another_secret_key_changes_nothing(ring: Ring) -> None:
    ring(secret_key="a" * 32, old=OLD)
    before = key_ring.seal("a secret", row=ROW)

    ring(secret_key="b" * 32, old=OLD)

    assert key_ring.unseal(before, row=ROW) == "a secret"


def test_another_secret_under_the_same_id_does_not_open(ring: Ring) -> None:
    ring(old=OLD)
    before = key_ring.seal("a secret", row=ROW)

    ring(old=NEW)

    with pytest.raises(CannotOpen):
        key_ring.unseal(before, row=ROW)


def test_no_id_of_data_keys_can_be_the_one_of_the_secret_key(ring: Ring) -> None:
    """Its id has a dash, and DATA_KEYS refuses one: no key can take its place."""
    ring()

    assert "-" in key_ring.newest_key_id()


def test_a_digest_depends_on_the_text_the_key_and_the_purpose(ring: Ring) -> None:
    ring(new=NEW, old=OLD)

    digests = {
        key_ring.digest(text, key_id, purpose=purpose)
        for text in ("a", "b")
        for key_id in ("new", "old")
        for purpose in ("recovery code", "device token")
    }

    assert len(digests) == 8
    assert key_ring.digest("a", "new", purpose="p") == key_ring.digest("a", "new", purpose="p")
    with pytest.raises(CannotOpen):
        key_ring.digest("a", "gone", purpose="p")


def test_neither_a_key_nor_the_secret_key_is_in_what_is_stored(ring: Ring) -> None:
    ring(secret_key="the secret key of this test 0123")

    sealed = key_ring.seal("a secret", row=ROW)

    assert "the secret key" not in base64.b64decode(sealed.text).decode("latin-1")
    assert sealed.key_id.startswith("secret-key-")
