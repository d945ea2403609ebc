"""What a client declared that it can be asked for, of which an upstream is told just that."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final
from uuid import UUID

_MEMBERS: Final[Mapping[str, tuple[str, ...]]] = {
    "elicitation": ("form", "url"),
    "roots": ("listChanged",),
    "sampling": ("context", "tools"),
}
"""Capabilities of clients that a gateway can stand in for, each with the members that it may have (MCP 2025-11-25)."""


@dataclass(frozen=True, slots=True)
class Offers:
    """What an upstream may ask of a client, and of which session of a legacy one."""

    session: UUID | None = None
    capabilities: Mapping[str, Any] = field(default_factory=dict)

    def has(self, capability: str, member: str = "") -> bool:
        """Whether the client declared a capability, or a member of it."""
        declared = self.capabilities.get(capability)
        return isinstance(declared, Mapping) and (not member or member in declared)


NOTHING: Final = Offers()


def known(declared: object) -> dict[str, Any]:
    """Return of what a client declares the part that means something to us; whatever has another form is left out."""
    if not isinstance(declared, Mapping):
        return {}
    found: dict[str, Any] = {}
    for name, members in _MEMBERS.items():
        if isinstance(said := declared.get(name), Mapping):
            found[name] = {member: _small(said[member]) for member in members if member in said}
    return found


def _small(value: object) -> object:
    return value if isinstance(value, bool) else {}
