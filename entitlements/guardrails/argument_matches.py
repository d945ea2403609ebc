"""Whether the arguments of a call may be those that a guardrail names: in doubt, yes. Pure.

The conditions are written like a grant's limits (`limits`). A limit covers what surely lies inside it; a guardrail
stops what does not surely lie outside. A value that cannot be read, a text where an object is expected, and a name that
some upstreams read as the named one all match, so that writing a value in another form does not pass.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from entitlements.constraints import kinds
from entitlements.decisions import limits
from entitlements.decisions.limits import Compiled, Node


def may_match(conditions: Compiled, arguments: Mapping[str, object], now: float | None = None) -> bool:
    """Say whether the arguments may meet every condition at a moment, in seconds since 1970.

    An argument that is named and not given does not meet any.
    """
    return bool(conditions.broken) or _may_hold(conditions.root, arguments, now)


def recorded_match(conditions: Compiled, numbers: Mapping[str, float]) -> bool | None:
    """Say whether arguments met every condition, by the numbers recorded of them; None where they cannot tell.

    One condition that surely was not met is enough for a no.
    """
    answers = [_recorded_hold(place, numbers) for place in _values(conditions.root)]
    if False in answers:
        return False
    return None if conditions.broken or None in answers else True


def _values(place: Node) -> list[Node]:
    """Return the places that hold a value or nothing, and those whose contents are counted."""
    inner = [each for child in place.children.values() for each in _values(child)]
    return [*inner, place] if place.closed or not place.children else inner


def _recorded_hold(place: Node, numbers: Mapping[str, float]) -> bool | None:
    if place.name not in numbers:
        return None
    if place.is_absent or place.closed:
        return not place.is_absent and None
    return all(_rule_may_hold(kind, want, numbers[place.name], None) for kind, want in place.rules)


def _may_hold(place: Node, value: object, now: float | None) -> bool:
    if not all(_rule_may_hold(kind, want, value, now) for kind, want in place.rules):
        return False
    if not place.structured or not isinstance(value, Mapping):
        return True
    if not all(_child_may_hold(key, child, value, now) for key, child in place.children.items()):
        return False
    return not place.closed or value.keys() <= place.children.keys()


def _child_may_hold(key: str, child: Node, value: Mapping[str, object], now: float | None) -> bool:
    """Look at each name that can be read as the named one."""
    given = [value[name] for name in value if name == key or limits.fold(name) == limits.fold(key)]
    if child.is_absent:
        return key not in value
    return any(_may_hold(child, each, now) for each in given) if given else not child.required


def _rule_may_hold(kind: str, want: Any, value: object, now: float | None) -> bool:  # noqa: ANN401 - of its kind
    """Say whether a rule may hold: a no counts only where the kind reads the value, and knows the time it needs."""
    known = kinds.KINDS[kind]
    if known.holds(want, value, now) or not known.reads(want, value) or (kind == "within" and now is None):
        return True
    if kind != "items" or not isinstance(value, list):
        return False
    return all(_rule_may_hold(inner, parameter, item, now) for item in value for inner, parameter in want)
