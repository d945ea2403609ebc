"""SPIFFE identifiers (SPIFFE-ID sections 2 and 2.3): `spiffe://<trust domain>/<path>`, in the one spelling. Pure."""

from __future__ import annotations

import re
from typing import Final

SCHEME: Final = "spiffe://"
LONGEST: Final = 2048
_TRUST_DOMAIN: Final = re.compile(r"spiffe://[a-z0-9._-]{1,255}")
_IDENTIFIER: Final = re.compile(r"(spiffe://[a-z0-9._-]{1,255})((?:/[A-Za-z0-9._-]+)+)")


def is_trust_domain(text: str) -> bool:
    """Say whether a text names a trust domain and no workload in it."""
    return _TRUST_DOMAIN.fullmatch(text) is not None


def trust_domain(identifier: object) -> str | None:
    """Return the trust domain of a workload's identifier, as `spiffe://<name>`; None for what is not one."""
    match = _IDENTIFIER.fullmatch(identifier) if isinstance(identifier, str) and len(identifier) <= LONGEST else None
    if match is None or {".", ".."} & {*match[2].split("/")}:
        return None
    return match[1]
