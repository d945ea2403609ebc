"""Where a client may have people sent: the address that it registered, to the letter, but for the port of a loopback.

A native client listens on whatever port it is given (RFC 8252 section 7.3). `localhost` counts as loopback, since
clients in use register it, and is never taken for one of the addresses. Pure.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

_LOOPBACK: Final = re.compile(r"http://(127\.0\.0\.1|\[::1\]|localhost)(?::([1-9][0-9]{0,4}))?((?:/[!-~]*)?)")
_HIGHEST_PORT: Final = 65_535


def allows(registered: Iterable[str], asked: str) -> bool:
    """Say whether an address is one of those that are registered (RFC 9700 section 2.1)."""
    if "#" in asked:
        return False
    portless = _portless(asked)
    return any(asked == one or (portless is not None and portless == _portless(one)) for one in registered)


def is_loopback(address: str) -> bool:
    """Say whether an address leads back to the person's own machine."""
    return _portless(address) is not None


def _portless(address: str) -> tuple[str, str] | None:
    """Return host and rest of a loopback address; None for any other."""
    match = _LOOPBACK.fullmatch(address)
    if match is None or int(match[2] or 1) > _HIGHEST_PORT:
        return None
    return match[1], match[3]
