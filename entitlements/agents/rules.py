"""Which versions of agents count as seen: those that a build attested. All others are only reported. Pure."""

from __future__ import annotations

from typing import Final

_ATTESTED: Final = "ci"
_BY_ITSELF: Final = ("agent:", "client:")


def is_attested(source: str, reported_by: str) -> bool:
    """Whether a version counts as seen: a build reported it, and not the agent or a client itself."""
    return source == _ATTESTED and not reported_by.startswith(_BY_ITSELF)
