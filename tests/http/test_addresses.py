"""Which addresses count as one client."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.http.addresses import network


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("2001:db8:1:2::1", "2001:db8:1:2:ffff:ffff:ffff:ffff"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("fe80::1%eth0", "fe80::1%eth1"),
    ],
)
def test_one_household_is_one_network(one: str, other: str) -> None:
    assert network(one) == network(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("192.0.2.7", "192.0.2.8"),
        ("2001:db8:1:2::1", "2001:db8:1:3::1"),
        ("::c000:207", "192.0.2.7"),
    ],
)
def test_neighbours_are_other_networks(one: str, other: str) -> None:
    assert network(one) != network(other)


@given(st.ip_addresses())
def test_a_network_fits_its_column(address: Any) -> None:
    assert len(network(str(address))) <= 50


def test_no_address_is_a_network_of_its_own() -> None:
    assert network(None) == network("") == network("nonsense") == "unknown"
