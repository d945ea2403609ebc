"""Pure: which tools belong to a side of a rule, and whether what an agent holds completes it.

A rule has two or more sides; an agent that holds a tool of every side violates it. One tool may stand on several
sides. The scopes of Mandate's own API count as tools of a system `mandate`, but only where a side names that system.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from http import HTTPStatus
from typing import Final

from entitlements.definitions.classes import DATA_CLASSES, FLOWS
from entitlements.errors import DomainError
from entitlements.words import Action, Risk

MANDATE: Final = "mandate"
"""The system whose tools are the scopes of Mandate's own API."""
MOST_SIDES, MOST_PATTERNS = 5, 20
_PATTERN: Final = re.compile(r"[A-Za-z0-9_.:/*-]{1,64}")
_WORDS: Final[Mapping[str, frozenset[str]]] = {
    "actions": frozenset(Action),
    "data_classes": frozenset(DATA_CLASSES),
    "flows": frozenset(FLOWS),
}


class SidesMalformed(DomainError):
    """A policy needs two to five sides, and each must select tools."""

    code, status = "sod_policy_malformed", HTTPStatus.UNPROCESSABLE_ENTITY


@dataclass(frozen=True, slots=True)
class HeldTool:
    """A tool that an agent holds, as far as rules look at it."""

    system: str
    name: str
    action: str
    risk: Risk
    data_class: str
    flows: frozenset[str] = frozenset()
    unsure: frozenset[str] = frozenset()
    """The flows that are not classified yet."""

    def __str__(self) -> str:
        return f"{self.system}/{self.name}"


@dataclass(frozen=True, slots=True)
class Side:
    """Which tools belong here: all selectors that say something must fit. In names `*` stands for anything."""

    systems: tuple[str, ...] = ()
    tools: tuple[str, ...] = ()
    actions: frozenset[str] = frozenset()
    risk_at_least: Risk | None = None
    data_classes: frozenset[str] = frozenset()
    flows: frozenset[str] = frozenset()

    def fits(self, tool: HeldTool) -> bool:
        """Whether a tool belongs to this side. An unclassified flow counts as present from high risk on."""
        if tool.system == MANDATE and MANDATE not in self.systems:
            return False
        flows = tool.flows | tool.unsure if tool.risk.rank >= Risk.HIGH.rank else tool.flows
        return (
            _matches(self.systems, tool.system)
            and _matches(self.tools, tool.name)
            and (not self.actions or tool.action in self.actions)
            and (self.risk_at_least is None or tool.risk.rank >= self.risk_at_least.rank)
            and (not self.data_classes or tool.data_class in self.data_classes)
            and self.flows <= flows
        )


def _matches(patterns: Sequence[str], name: str) -> bool:
    return not patterns or any(fnmatchcase(name.casefold(), pattern.casefold()) for pattern in patterns)


def read(sides: object) -> tuple[Side, ...]:
    """Read the sides of a rule from JSON: nothing unknown, nothing that would match everything by silence.

    Raises SidesMalformed.
    """
    if not isinstance(sides, list) or not 2 <= len(sides) <= MOST_SIDES:  # noqa: PLR2004 - a combination
        raise SidesMalformed
    return tuple(_side(number, side) for number, side in enumerate(sides, start=1))


def _side(number: int, data: object) -> Side:
    if not isinstance(data, Mapping) or set(data) - set(Side.__dataclass_fields__):
        raise SidesMalformed(side=number)
    risk = data.get("risk_at_least")
    if risk is not None and risk not in list(Risk):
        raise SidesMalformed(side=number, field="risk_at_least")
    lists = {name: _listed(number, name, data.get(name, [])) for name in ("systems", "tools", *_WORDS)}
    if risk is None and not any(lists.values()):
        raise SidesMalformed(side=number)
    return Side(
        systems=lists["systems"],
        tools=lists["tools"],
        actions=frozenset(lists["actions"]),
        risk_at_least=Risk(risk) if risk else None,
        data_classes=frozenset(lists["data_classes"]),
        flows=frozenset(lists["flows"]),
    )


def _listed(number: int, name: str, values: object) -> tuple[str, ...]:
    known = _WORDS.get(name)
    if (
        not isinstance(values, list)
        or len(values) > MOST_PATTERNS
        or not all(
            isinstance(value, str) and (value in known if known else _PATTERN.fullmatch(value)) for value in values
        )
    ):
        raise SidesMalformed(side=number, field=name)
    return tuple(values)


def completed(sides: Sequence[Side], tools: Iterable[HeldTool]) -> tuple[tuple[HeldTool, ...], ...] | None:
    """Return the tools that stand on each side, or None while a side is empty."""
    held = sorted(set(tools), key=str)
    filled = tuple(tuple(tool for tool in held if side.fits(tool)) for side in sides)
    return filled if all(filled) else None


def touches(sides: Sequence[Side], tools: Iterable[HeldTool]) -> bool:
    """Whether one of the tools stands on any side."""
    return any(side.fits(tool) for tool in tools for side in sides)
