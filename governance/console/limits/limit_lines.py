"""Limits as lines of text, for the rule of an entitlement. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from entitlements.decisions.limits import LimitMalformed
from governance.console.limits import limit_fields

_LINE: Final = re.compile(r"\s*([^\s:<>=]+)\s*(:|<=)\s*(.+?)\s*")


def from_lines(text: str) -> dict[str, Any]:
    """Read limits from lines: `name: a, b` leaves these values, `name <= 5` a most. Raises LimitMalformed."""
    limits: dict[str, Any] = {}
    for line in filter(str.strip, text.splitlines()):
        match = _LINE.fullmatch(line)
        if match is None or match[1] in limits:
            raise LimitMalformed(f"{line[:60]}: write “name: value, value” or “name <= number”, each name once.")
        name, sign, value = match.groups()
        if sign == "<=":
            limits[name] = {"max": limit_fields.number(name, value), "optional": True}
        else:
            limits[name] = {"one_of": [part.strip() for part in value.split(",") if part.strip()], "optional": True}
    return limits


def as_lines(limits: Mapping[str, Any]) -> str:
    """Write limits as lines; limits that lines cannot express are left out."""
    lines = [
        f"{name} <= {limit['max']}" if "max" in limit else f"{name}: {', '.join(map(str, limit.get('one_of', [])))}"
        for name, limit in limits.items()
    ]
    return "\n".join(lines)
