"""The security events that are understood, of CAEP 1.0, RISC 1.0 and the Shared Signals Framework 1.0. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

_BASE: Final = "https://schemas.openid.net/secevent"
TYPES: Final[Mapping[str, str]] = MappingProxyType(
    {
        **{
            f"{_BASE}/caep/event-type/{name}": name
            for name in (
                *("session-revoked", "credential-change", "assurance-level-change", "device-compliance-change"),
                *("token-claims-change", "risk-level-change"),
            )
        },
        **{
            f"{_BASE}/risc/event-type/{name}": name
            for name in ("account-disabled", "account-purged", "credential-compromise")
        },
    }
)
"""By its type, the name of each event, by which two people allow it."""
NAMES: Final = frozenset(TYPES.values())
VERIFICATION: Final = f"{_BASE}/ssf/event-type/verification"
UPDATED: Final = f"{_BASE}/ssf/event-type/stream-updated"
OF_THE_STREAM: Final = frozenset({VERIFICATION, UPDATED})
"""Events about a stream itself; any trusted stream may send them."""
