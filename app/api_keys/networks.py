"""The networks from which a key may be used."""

from functools import lru_cache
from ipaddress import IPv4Network, IPv6Network, ip_network

from app.http import addresses

Network = IPv4Network | IPv6Network


def canonical(text: str) -> str:
    """A network in its usual form. An address alone is a network, too. Raises ``ValueError``."""
    if "%" in text:
        raise ValueError(text)
    return str(ip_network(text))


def is_in(ip: str | None, networks: str) -> bool:
    """Whether the address is in one of the networks, separated by spaces. None means anywhere."""
    if not networks:
        return True
    address = addresses.parse(ip or "")
    return address is not None and any(address in network for network in _parsed(networks))


def widens(before: str, now: str) -> bool:
    """Whether a key works from more addresses now than it did before."""
    if not before or not now:
        return bool(before)
    return not all(any(_contains(old, new) for old in _parsed(before)) for new in _parsed(now))


def _contains(old: Network, new: Network) -> bool:
    return new.network_address in old and new.broadcast_address in old


@lru_cache(1024)
def _parsed(networks: str) -> tuple[Network, ...]:
    return tuple(ip_network(text) for text in networks.split(" "))
