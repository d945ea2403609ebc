"""What an act asks that may take away a part: which tools to keep, within which limits, for how long."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from django.http import QueryDict

from governance.console import doors
from governance.console.limits import narrowing_fields
from governance.console.limits.narrowing_fields import Given


@dataclass(frozen=True, slots=True)
class NarrowingForm:
    """Tools to untick, limits to tighten, a shorter time."""

    given: Callable[[Any], Given]
    version_as: str
    """The name under which the action takes the version that was shown."""
    template: str = "admin/narrowing.html"

    def fields(self, row: Any, prefix: str, data: QueryDict | None) -> dict[str, Any]:  # noqa: ANN401 - a row
        """Return the tools with the fields of their limits, and the lengths of time to choose from."""
        return narrowing_fields.shown(self.given(row), data, prefix)

    def read(self, row: Any, prefix: str, data: QueryDict) -> dict[str, Any]:  # noqa: ANN401 - a row
        """Return what is kept, why, and the version that was shown. Raises Malformed, LimitMalformed."""
        return {
            "narrow": narrowing_fields.read(self.given(row).fields(prefix), data.getlist, prefix),
            "reason": data.get("reason", "").strip()[:500],
            self.version_as: doors.number(data.get(f"{prefix}version", "")),
        }
