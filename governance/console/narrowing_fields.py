"""The fields of a form that narrows: tools to untick, tighter limits, a shorter time."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta
from typing import Any, Final

from django.utils.translation import gettext as _

from entitlements.errors import Malformed
from governance.eligibility.narrowing import Narrowing

from . import limit_fields

type Line = tuple[str, Mapping[str, Any], Sequence[limit_fields.Field]]
"""A tool's name, its present limits, and the fields of those that can be tighter."""
_MOST_DIGITS: Final = 9
"""Thirty years of seconds."""


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
