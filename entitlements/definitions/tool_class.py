"""The class of a tool, and which of two classes is lower: its action, risk level, data class and flow labels.

What cannot be compared counts as lower, so that it waits for a second person: a data class of the company's own words.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, Final

from entitlements.definitions.classes import DATA_CLASSES, FLOWS
from entitlements.words import Action, Risk

_ORDER: Final[Mapping[str, tuple[object, ...]]] = {
    "action": tuple(Action),
    "risk": tuple(Risk),
    "data_class": DATA_CLASSES,
    **dict.fromkeys(FLOWS, (False, None, True)),
}
FIELDS: Final = tuple(_ORDER)


@dataclass(frozen=True, slots=True)
class ToolClass:
    """What a tool does, how dangerous that is, which data it touches, and how data flows through it."""

    action: str
    risk: str
    data_class: str
    reads_private: bool | None = None
    ingests_untrusted: bool | None = None
    egress_external: bool | None = None

    def as_json(self) -> dict[str, Any]:
        """Return it by field."""
        return asdict(self)


def of(row: Any) -> ToolClass:  # noqa: ANN401 - a tool
    """Read the class of a tool."""
    return ToolClass(**{name: getattr(row, name) for name in FIELDS})


def put(row: Any, tool_class: ToolClass) -> None:  # noqa: ANN401 - a tool
    """Give a tool a class; nothing is written."""
    for name, value in tool_class.as_json().items():
        setattr(row, name, value)


def suggested(suggestion: Mapping[str, Any]) -> ToolClass:
    """Read what the rules propose. A flow of which they say nothing asks for nothing."""
    values = {name: suggestion[name] for name in FIELDS}
    return ToolClass(**values | {flow: bool(values[flow]) for flow in FLOWS})


def highest(one: ToolClass, other: ToolClass) -> ToolClass:
    """Return the higher of two classes, field by field; the first where they cannot be compared."""
    names = [name for name in FIELDS if _is_below(name, getattr(one, name), getattr(other, name))]
    return replace(one, **{name: getattr(other, name) for name in names})


def served(before: ToolClass, after: ToolClass) -> ToolClass:
    """Return a class as it counts at once: each field that it lowers stays as it was before."""
    return replace(after, **{name: getattr(before, name) for name in lowered(before, after)})


def lowered(before: ToolClass, after: ToolClass) -> list[str]:
    """Return the fields in which a class is lower than the one before.

    Deciding “no” about a flow that was undecided lowers a tool from high risk on, where undecided counts as yes.
    """
    weighs = Risk(before.risk).rank >= Risk.HIGH.rank
    return [
        name
        for name in FIELDS
        if _is_lower(name, old := getattr(before, name), getattr(after, name))
        and (name not in FLOWS or old is True or weighs)
    ]


def _is_lower(name: str, old: object, new: object) -> bool:
    known = {old, new} <= set(_ORDER[name])
    return _is_below(name, new, old) if known else old != new


def _is_below(name: str, one: object, other: object) -> bool:
    order = _ORDER[name]
    return one in order and other in order and order.index(one) < order.index(other)
