"""How far an admin role reaches: everything, or the systems and departments that it is limited to (decision 91)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class RoleLimit:
    """What a role reaches: everything, or what belongs to any of these systems (keys) or departments (names).

    A limit that names nothing reaches nothing.
    """

    everything: bool = False
    systems: frozenset[int] = frozenset()
    departments: frozenset[str] = frozenset()

    def __or__(self, other: RoleLimit) -> RoleLimit:
        """Return what either reaches."""
        if self.everything or other.everything:
            return EVERYTHING
        return RoleLimit(systems=self.systems | other.systems, departments=self.departments | other.departments)

    @property
    def columns(self) -> dict[str, object]:
        """The columns of a role with this limit."""
        return {
            "is_limited": not self.everything,
            "limit_systems": sorted(self.systems),
            "limit_departments": sorted(self.departments),
        }

    def covers(self, other: RoleLimit) -> bool:
        """Whether the other reaches no further. Of a department and a system neither covers the other."""
        if self.everything:
            return True
        return not other.everything and other.systems <= self.systems and other.departments <= self.departments


EVERYTHING: Final = RoleLimit(everything=True)
NOTHING: Final = RoleLimit()
