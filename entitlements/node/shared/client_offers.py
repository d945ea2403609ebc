"""What a client declared that it can be asked for, of which an upstream is told just that."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final
from uuid import UUID, uuid5

_MEMBERS: Final[Mapping[str, tuple[str, ...]]] = {
    "elicitation": ("form", "url"),
    "roots": ("listChanged",),
    "sampling": ("context", "tools"),
}
"""Capabilities of clients that a gateway can stand in for, each with the members that it may have (MCP 2025-11-25)."""
_STATELESS: Final = UUID("0bb3b6bc-1d0a-4c5b-8b57-6c2f0a6f6f32")
"""Under which the capabilities of stateless clients have their names."""


@dataclass(frozen=True, slots=True)
class Offers:
    """What an upstream may ask of a client, and of which session of a legacy one.

    A stateless client has no session (`is_stateless`): what it declares stands for one, so that those of its calls that
    declare the same share a session with a legacy upstream.
    """

    session: UUID | None = None
    capabilities: Mapping[str, Any] = field(default_factory=dict)
    is_stateless: bool = False

    @property
    def is_of_session(self) -> bool:
        """Whether they are those of a legacy client, in one of its sessions."""
        return self.session is not None and not self.is_stateless

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


def stateless(declared: object) -> Offers:
    """Return what a client of 2026 declares in the `_meta` of one request; NOTHING where it can be asked nothing."""
    capabilities: dict[str, dict[str, object]] = {
        name: {member: {} for member in members if name != "roots"} for name, members in known(declared).items()
    }
    if not capabilities:
        return NOTHING
    name = " ".join(f"{each}({','.join(sorted(members))})" for each, members in sorted(capabilities.items()))
    return Offers(uuid5(_STATELESS, name), capabilities, is_stateless=True)


def _small(value: object) -> object:
    return value if isinstance(value, bool) else {}
