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


@lru_cache(1024)
def _parsed(networks: str) -> tuple[Network, ...]:
    return tuple(ip_network(text) for text in networks.split(" "))
