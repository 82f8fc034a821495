"""IP addresses, and the networks that count as one client."""

from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, ip_address

Address = IPv4Address | IPv6Address


@lru_cache(4096)
def parse(text: str) -> Address | None:
    """The address without its zone. An IPv4 address that is written as IPv6 becomes IPv4."""
    try:
        address = ip_address(text.partition("%")[0])
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address


@lru_cache(4096)
def network(ip: str | None) -> str:
    """An IPv4 address itself; the /64 of an IPv6 address, since one household has all of it."""
    address = parse(ip or "")
    if address is None:
        return "unknown"
    if isinstance(address, IPv4Address):
        return str(address)
    return f"{IPv6Address(int(address) >> 64 << 64)}/64"
