"""Which addresses may be called."""

from ipaddress import ip_address, ip_network

import pytest

from app.security.outbound import addresses

PUBLIC = [
    "1.1.1.1",
    "93.184.215.14",
    "172.15.255.255",
    "172.32.0.1",
    "100.63.255.255",
    "100.128.0.1",
    "192.167.255.255",
    "223.255.255.255",
    "2606:4700:4700::1111",
    "2a00:1450:4001:82f::200e",
    # IPv4 in the form of IPv6
    "::ffff:1.1.1.1",
    # on networks that have only IPv6
    "64:ff9b::1.1.1.1",
]

NOT_PUBLIC = {
    "0.0.0.0": "this host",
    "0.1.2.3": "this network",
    "10.0.0.1": "private",
    "100.64.0.1": "shared by the customers of a carrier",
    "100.100.100.200": "the metadata of Alibaba",
    "127.0.0.1": "loopback",
    "127.255.255.254": "loopback",
    "168.63.129.16": "a service of Azure",
    "169.254.169.254": "the metadata of most clouds",
    "172.16.0.1": "private",
    "172.31.255.255": "private",
    "192.0.0.192": "the metadata of Oracle",
    "192.0.2.1": "documentation",
    "192.88.99.1": "a relay of 6to4",
    "192.168.0.1": "private",
    "198.18.0.1": "benchmarks",
    "198.51.100.1": "documentation",
    "203.0.113.1": "documentation",
    "224.0.0.1": "many machines",
    "239.255.255.250": "many machines",
    "240.0.0.1": "not assigned",
    "255.255.255.255": "everybody on the link",
    "::": "this host",
    "::1": "loopback",
    "::127.0.0.1": "IPv4 in an old form",
    "::ffff:127.0.0.1": "IPv4 in the form of IPv6",
    "::ffff:169.254.169.254": "IPv4 in the form of IPv6",
    "::ffff:0:127.0.0.1": "IPv4, translated (SIIT)",
    "64:ff9b::127.0.0.1": "NAT64",
    "64:ff9b::169.254.169.254": "NAT64",
    "64:ff9b::10.0.0.1": "NAT64",
    "64:ff9b:1::1.1.1.1": "NAT64 of one network",
    "100::1": "discarded",
    "2001:0:4136:e378:8000:63bf:3fff:fdd2": "Teredo",
    "2001:2::1": "benchmarks",
    "2001:10::1": "not routed (ORCHID)",
    "2001:db8::1": "documentation",
    "2002:7f00:1::": "6to4 of 127.0.0.1",
    "2002:a9fe:a9fe::": "6to4 of the metadata",
    "2606:4700::5efe:10.0.0.1": "ISATAP",
    "2606:4700::200:5efe:10.0.0.1": "ISATAP",
    "3fff::1": "documentation",
    "4000::1": "not assigned",
    "fc00::1": "private",
    "fd00:ec2::254": "the metadata of Amazon",
    "fe80::1": "the link",
    "fec0::1": "the site",
    "ff02::1": "many machines",
}


@pytest.mark.parametrize("text", PUBLIC)
def test_a_public_address_may_be_called(text: str) -> None:
    assert addresses.may_be_called(ip_address(text), [])


@pytest.mark.parametrize("text", NOT_PUBLIC)
def test_another_one_may_not(text: str) -> None:
    assert not addresses.may_be_called(ip_address(text), [])


@pytest.mark.parametrize("text", NOT_PUBLIC)
def test_unless_its_network_is_allowed(text: str) -> None:
    own = ip_network(text)

    assert addresses.may_be_called(ip_address(text), [own])


def test_a_network_that_is_allowed_allows_no_other_one() -> None:
    allowed = [ip_network("10.0.0.0/8"), ip_network("fd00:1::/32")]

    assert addresses.may_be_called(ip_address("10.255.0.1"), allowed)
    assert addresses.may_be_called(ip_address("fd00:1::1"), allowed)
    assert not addresses.may_be_called(ip_address("127.0.0.1"), allowed)
    assert not addresses.may_be_called(ip_address("fd00:2::1"), allowed)
    # An address that only holds an allowed one is another address.
    assert not addresses.may_be_called(ip_address("2002:a00:1::"), allowed)
    assert not addresses.may_be_called(ip_address("64:ff9b::10.0.0.1"), allowed)
