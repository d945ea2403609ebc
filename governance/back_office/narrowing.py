"""What an act asks that may take away a part: which tools to keep, within which limits, for how long."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

from django.http import QueryDict

from entitlements.catalog.models import Tool
from entitlements.errors import Malformed
from governance.console import doors, limit_fields, narrowing_fields
from governance.requests import queries


@dataclass(frozen=True, slots=True)
class Given:
    """What a row gives: each tool with its limits, and for how long."""

    lines: Collection[tuple[Tool, Mapping[str, Any]]]
    lasts: timedelta


@dataclass(frozen=True, slots=True)
class Line:
    """A tool on the page: whether it is ticked, and the fields of its limits."""

    tool: Tool
    limits: Mapping[str, Any]
    fields: list[limit_fields.Field]
    is_kept: bool


@dataclass(frozen=True, slots=True)
class NarrowingForm:
    """Tools to untick, limits to tighten, a shorter time."""

    read_row: Callable[[Any], Given]
    version_as: str
    """The name under which the action takes the version that was shown."""
    template: str = "admin/narrowing.html"

    def fields(self, row: Any, prefix: str, data: QueryDict | None) -> dict[str, Any]:  # noqa: ANN401 - a row
        """Return the tools with the fields of their limits, and the lengths of time to choose from."""
        given = self.read_row(row)
        return {
            "lines": [_line(tool, limits, prefix, data) for tool, limits in given.lines],
            "lengths": _lengths(given.lasts, _sent_lasts(data, prefix) if data else None),
        }

    def read(self, row: Any, prefix: str, data: QueryDict) -> dict[str, Any]:  # noqa: ANN401 - a row
        """Return what is kept, why, and the version that was shown. Raises Malformed, LimitMalformed."""
        lines = [(tool.name, limits, _fields(tool, limits, prefix)) for tool, limits in self.read_row(row).lines]
        return {
            "narrow": narrowing_fields.read(lines, data.getlist, prefix),
            "reason": data.get("reason", "").strip()[:500],
            self.version_as: doors.number(data.get(f"{prefix}version", "")),
        }


def _line(tool: Tool, limits: Mapping[str, Any], prefix: str, data: QueryDict | None) -> Line:
    fields = _fields(tool, limits, prefix)
    if data is None:
        return Line(tool, limits, fields, is_kept=True)
    sent = [limit_fields.with_sent_values(field, data.getlist) for field in fields]
    return Line(tool, limits, sent, is_kept=tool.name in data.getlist(f"{prefix}tool"))


def _fields(tool: Tool, limits: Mapping[str, Any], prefix: str) -> list[limit_fields.Field]:
    fields = limit_fields.fields(tool.name, queries.pinned(tool), limits)
    return [replace(field, prefix=prefix) for field in fields]


def _lengths(longest: timedelta, chosen: timedelta | None) -> list[dict[str, Any]]:
    """Return the lengths of time to choose from; nothing is sent for the longest, which changes nothing."""
    return [
        {
            "lasts": length,
            "seconds": "" if length == longest else int(length.total_seconds()),
            "chosen": length == (chosen or longest),
        }
        for length in queries.lengths(longest, longest)
    ]


def _sent_lasts(data: QueryDict, prefix: str) -> timedelta | None:
    try:
        return narrowing_fields.lasts(data.getlist, prefix)
    except Malformed:
        return None
