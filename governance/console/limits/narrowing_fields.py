"""The form that narrows what is asked for or granted: tools to untick, limits to tighten, a shorter time."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any, Final

from django.http import QueryDict
from django.utils.translation import gettext as _

from entitlements.catalog.models import Tool
from entitlements.errors import Malformed
from governance.eligibility.narrowing import Narrowing
from governance.requests import queries

from . import limit_fields

type Line = tuple[str, Mapping[str, Any], Sequence[limit_fields.Field]]
"""A tool's name, its present limits, and the fields of those that can be tighter."""
_MOST_DIGITS: Final = 9
"""Thirty years of seconds."""


@dataclass(frozen=True, slots=True)
class Given:
    """What can be narrowed: each tool with its limits, and for how long."""

    lines: Collection[tuple[Tool, Mapping[str, Any]]]
    lasts: timedelta

    def fields(self, prefix: str = "") -> list[Line]:
        """Return each tool with the fields of its limits."""
        return [(tool.name, limits, _fields(tool, limits, prefix)) for tool, limits in self.lines]


@dataclass(frozen=True, slots=True)
class ShownLine:
    """A tool in the form: whether it is ticked, and the fields of its limits."""

    tool: Tool
    limits: Mapping[str, Any]
    fields: list[limit_fields.Field]
    is_kept: bool


@dataclass(frozen=True, slots=True)
class Length:
    """A length of time to choose; nothing is sent for the present one, which changes nothing."""

    lasts: timedelta
    seconds: str
    is_chosen: bool


def shown(given: Given, data: QueryDict | None, prefix: str = "") -> dict[str, Any]:
    """Return the lines and lengths of a form, as `data` had them where it was refused."""
    chosen = (_sent_lasts(data, prefix) if data else None) or given.lasts
    return {
        "lines": [_line(tool, limits, data, prefix) for tool, limits in given.lines],
        "lengths": [
            Length(length, "" if length == given.lasts else str(int(length.total_seconds())), length == chosen)
            for length in queries.lengths(given.lasts, given.lasts)
        ],
    }


def _line(tool: Tool, limits: Mapping[str, Any], data: QueryDict | None, prefix: str) -> ShownLine:
    fields = _fields(tool, limits, prefix)
    if data is None:
        return ShownLine(tool, limits, fields, is_kept=True)
    sent = [limit_fields.with_sent_values(field, data.getlist) for field in fields]
    return ShownLine(tool, limits, sent, is_kept=tool.name in data.getlist(f"{prefix}tool"))


def _fields(tool: Tool, limits: Mapping[str, Any], prefix: str) -> list[limit_fields.Field]:
    fields = limit_fields.fields(tool.name, queries.pinned(tool), limits)
    return [replace(field, prefix=prefix) for field in fields]


def _sent_lasts(data: QueryDict, prefix: str) -> timedelta | None:
    try:
        return lasts(data.getlist, prefix)
    except Malformed:
        return None


def read(lines: Iterable[Line], values: limit_fields.FormValues, prefix: str = "") -> Narrowing:
    """Return what the form keeps of these lines. Of several forms on a page, each has its prefix.

    Raises Malformed, LimitMalformed.
    """
    kept = frozenset(values(f"{prefix}tool"))
    limits = {
        tool: tighter
        for tool, current, fields in lines
        if tool in kept and (tighter := limit_fields.read(fields, current, values))
    }
    return Narrowing(kept, limits, lasts(values, prefix))


def lasts(values: limit_fields.FormValues, prefix: str = "") -> timedelta | None:
    """Read a length of time in seconds; None where none is chosen. Raises Malformed."""
    seconds = next(reversed(values(f"{prefix}lasts")), "")
    if not seconds:
        return None
    if not (seconds.isascii() and seconds.isdecimal()) or len(seconds) > _MOST_DIGITS:
        raise Malformed(_("The length of time is not one of those offered."))
    return timedelta(seconds=int(seconds))
