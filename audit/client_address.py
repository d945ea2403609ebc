"""Which address a request comes from: that of the peer, or the one that proxies of our own report.

A proxy writes the address that it was reached from at the right end of `X-Forwarded-For`; what stands further left came
with the request and may be invented. So the header is read from the right, and only while the sender is in
`TRUSTED_PROXIES`. `Forwarded` (RFC 7239) is not read: the shipped proxy drops it, and two headers could contradict.
"""

from __future__ import annotations

from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address
from typing import Final

from django.conf import settings

HEADER: Final = "X-Forwarded-For"
NETWORK_BITS: Final = 64
"""What one subscriber gets of IPv6 at least (RFC 6177): its holder uses any address within it."""
_MOST_HOPS: Final = 32
"""More proxies in a row than this are none of ours."""


def resolve(peer: str, forwarded_for: str) -> str:
    """Return the client's address; the peer's own text when it is no address, as with a socket in the file system.

    `forwarded_for` is the value of every `X-Forwarded-For` line, in order, joined by commas (RFC 9110, section 5.3).
    An entry that is no address ends the reading: then the last proxy that is known is where the request comes from.
    """
    if not forwarded_for:
        return _plain(peer)
    address = _address(peer)
    if address is None:
        return peer
    for entry in reversed(forwarded_for.rsplit(",", _MOST_HOPS)):
        if not _is_trusted(address) or (before := _address(entry)) is None:
            break
        address = before
    return str(address)


@lru_cache(maxsize=4096)
def _plain(peer: str) -> str:
    address = _address(peer)
    return peer if address is None else str(address)


@lru_cache(maxsize=4096)
def counted_as(source: str) -> str:
    """Return as what a source counts where failures and attempts are counted: an IPv6 address as its /64."""
    address = _address(source)
    if isinstance(address, IPv6Address):
        return str(IPv6Network((address, NETWORK_BITS), strict=False))
    return source


def _is_trusted(address: IPv4Address | IPv6Address) -> bool:
    return any(address in network for network in settings.TRUSTED_PROXIES)


@lru_cache(maxsize=4096)
def _address(text: str) -> IPv4Address | IPv6Address | None:
    """Read an address, with or without a port and brackets; None when it is none. IPv4 within IPv6 is IPv4."""
    host = text.strip()
    if host.startswith("["):
        host = host[1:].partition("]")[0]
    elif host.count(":") == 1:
        host = host.partition(":")[0]
    try:
        address = ip_address(host.partition("%")[0])
    except ValueError:
        return None
    return address.ipv4_mapped or address if isinstance(address, IPv6Address) else address
