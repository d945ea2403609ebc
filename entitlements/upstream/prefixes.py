"""Which network addresses the open internet uses: everything else is a way back into our own network.

`ipaddress.is_global` lets through what wraps a private address (NAT64, 6to4, Teredo, IPv4-mapped and -compatible) and
what was private once (site-local), so the table is our own. Source: the IANA special-purpose address registries.
"""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Final

_NOT_PUBLIC_4: Final = tuple(
    ip_network(text)
    for text in (
        "0.0.0.0/8",
        "10.0.0.0/8",
        "100.64.0.0/10",  # carrier-grade NAT
        "127.0.0.0/8",
        "169.254.0.0/16",  # link-local, where clouds keep their credentials
        "172.16.0.0/12",
        "192.0.0.0/24",
        "192.0.2.0/24",
        "192.31.196.0/24",
        "192.52.193.0/24",
        "192.88.99.0/24",  # relays of 6to4
        "192.168.0.0/16",
        "192.175.48.0/24",
        "198.18.0.0/15",
        "198.51.100.0/24",
        "203.0.113.0/24",
        "224.0.0.0/3",  # multicast, reserved, broadcast
    )
)
_PUBLIC_6: Final = IPv6Network("2000::/3")
_NOT_PUBLIC_6: Final = tuple(
    ip_network(text)
    for text in (
        "2001::/23",  # Teredo, ORCHID, benchmarking and other assignments of the IETF
        "2001:db8::/32",
        "2002::/16",  # 6to4 wraps an IPv4 address
        "2620:4f:8000::/48",
        "3fff::/20",
        "5f00::/16",
    )
)
_WRAPS_4: Final = (IPv6Network("::ffff:0:0/96"), IPv6Network("64:ff9b::/96"))
"""IPv4-mapped and NAT64: as public as the address inside."""


def is_public(text: str) -> bool:
    """Say whether an address, as a resolver writes it, belongs to the open internet; anything else does not."""
    try:
        address = ip_address(text)
    except ValueError:
        return False
    if isinstance(address, IPv4Address):
        return not any(address in prefix for prefix in _NOT_PUBLIC_4)
    return _is_public_6(address)


def is_in(text: str, networks: Iterable[IPv4Network | IPv6Network]) -> bool:
    """Say whether an address, written plainly, lies in one of these networks."""
    try:
        address = ip_address(text)
    except ValueError:
        return False
    return any(address in network for network in networks)


def is_loopback(text: str) -> bool:
    """Say whether an address is this machine itself, written plainly."""
    try:
        return ip_address(text).is_loopback
    except ValueError:
        return False


def _is_public_6(address: IPv6Address) -> bool:
    if address.scope_id is not None:
        return False
    if any(address in prefix for prefix in _WRAPS_4):
        return is_public(str(IPv4Address(int(address) & 0xFFFFFFFF)))
    return address in _PUBLIC_6 and not any(address in prefix for prefix in _NOT_PUBLIC_6)
