"""Which addresses a call to another server may go to."""

from collections.abc import Iterable
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network

from app.http.addresses import Address
from configuration.hosts import Network

# What the public internet uses today of version 6. All that lies outside is local, or held back.
GLOBAL_UNICAST = IPv6Network("2000::/3")
# A gateway passes packets for these on to the IPv4 address in the last 32 bits (RFC 6052).
NAT64 = IPv6Network("64:ff9b::/96")
# Newer versions of Python know most of these networks, and older ones do not.
NOT_PUBLIC: tuple[Network, ...] = (
    IPv4Network("192.0.0.0/24"),  # for protocols
    IPv4Network("192.88.99.0/24"),  # relays of 6to4
    IPv4Network("168.63.129.16/32"),  # a service of Azure for the machines inside it
    IPv6Network("2001::/23"),  # for protocols; Teredo is in it
    IPv6Network("2002::/16"),  # 6to4, which holds an IPv4 address
    IPv6Network("3fff::/20"),  # documentation
)


def may_be_called(address: Address, allowed: Iterable[Network]) -> bool:
    """Whether the address is public, or in one of the networks that an operator allowed."""
    return is_in(address, allowed) or is_public(address)


def is_in(address: Address, networks: Iterable[Network]) -> bool:
    return any(address in network for network in networks)


def is_public(address: Address) -> bool:
    """Whether everybody on the internet reaches the same machine by this address.

    An address of version 6 that holds one of version 4 is judged by that one
    (IPv4-mapped, NAT64), or refused (6to4, Teredo, ISATAP): public servers do
    not have those.
    """
    if isinstance(address, IPv6Address):
        if address.ipv4_mapped:
            return is_public(address.ipv4_mapped)
        if address in NAT64:
            return is_public(IPv4Address(int(address) & 0xFFFFFFFF))
        if address not in GLOBAL_UNICAST or _is_isatap(address):
            return False
    return address.is_global and not address.is_multicast and not is_in(address, NOT_PUBLIC)


def _is_isatap(address: IPv6Address) -> bool:
    """Whether the last 32 bits are an IPv4 address inside a site (RFC 5214 §6.1)."""
    return (int(address) >> 32) & 0xFDFFFFFF == 0x00005EFE
