"""Collisions of tools as one caller sees them: of a system that is not theirs to see, that there is one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from entitlements.catalog.models import Tool
from entitlements.name_collisions import collisions
from entitlements.name_collisions.collisions import Collision

from . import visibility
from .caller import Caller


def find(caller: Caller, tools: Sequence[Tool]) -> dict[int, list[Collision]]:
    """Return the collisions of these tools as `collisions.find` does, without names that the caller does not see."""
    found = collisions.find(tools)
    named = {each.system for of_tool in found.values() for each in of_tool}
    if caller.sees_everything or not named:
        return found
    seen = set(visibility.systems(caller).filter(slug__in=named).values_list("slug", flat=True))
    return {pk: [_hidden(each, seen) for each in of_tool] for pk, of_tool in found.items()}


def _hidden(each: Collision, seen: set[str]) -> Collision:
    return each if each.system in seen else replace(each, system="", tool="")
