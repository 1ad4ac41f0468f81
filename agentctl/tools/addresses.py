"""Which network addresses a model may reach: public ones, and nothing inside."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

_DENIED_4 = tuple(
    map(
        IPv4Network,
        (
            "192.0.0.0/24",  # protocol assignments; one cloud keeps its metadata here
            "192.88.99.0/24",  # former 6to4 relays
            "168.63.129.16/32",  # a cloud's host agent on a public number
        ),
    )
)
_UNICAST_6 = IPv6Network("2000::/3")
_DENIED_6 = tuple(
    map(
        IPv6Network,
        (
            "2001::/23",  # protocol assignments, among them Teredo, which embeds any IPv4 address
            "2001:db8::/32",  # documentation
            "2002::/16",  # 6to4, which embeds any IPv4 address
            "3fff::/20",  # documentation
        ),
    )
)
_NAT64 = IPv6Network("64:ff9b::/96")


def is_public(address: str) -> bool:
    """Whether an address, as a resolver gives it, is on the public internet.

    The standard library's `is_global` is not enough: what it says differs between Python versions,
    and it takes an IPv4 address inside an IPv6 one for public. So for IPv6 only plain unicast
    passes, and the two forms that real networks embed IPv4 in are judged by that IPv4 address.
    """
    found = ip_address(address)
    if isinstance(found, IPv6Address):
        inner = found.ipv4_mapped
        if found in _NAT64:
            inner = IPv4Address(int(found) & 0xFFFF_FFFF)
        if inner is None:
            denied = any(found in network for network in _DENIED_6)
            return found in _UNICAST_6 and found.is_global and not denied
        found = inner
    special = found.is_multicast or found.is_reserved or any(found in each for each in _DENIED_4)
    return found.is_global and not special
