"""Collisions of a tool's names with tools elsewhere, and texts that name a tool of another system."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from django.db.models import Q

from entitlements.catalog.models import Tool

from . import skeletons
from .models import NameKey

MOST: Final = 10
"""Collisions of one tool that are told."""
_AT_ONCE: Final = 500


class Sign(StrEnum):
    """How a tool collides with another one."""

    SAME_NAME = "same_name"
    LOOKS_ALIKE = "looks_alike"
    TITLE_LOOKS_ALIKE = "title_looks_alike"
    NAMED_IN_TEXT = "named_in_text"


@dataclass(frozen=True, slots=True, order=True)
class Collision:
    """One tool that another collides with. Names and titles were written by strangers: escape them."""

    sign: Sign
    system: str
    tool: str
    is_approved: bool

    def as_json(self) -> dict[str, str | bool]:
        """Return it as JSON."""
        return {"sign": self.sign.value, "system": self.system, "tool": self.tool, "is_approved": self.is_approved}


def store_keys(tools: Iterable[tuple[Tool, Mapping[str, Any]]]) -> None:
    """Store how the names of tools look in these definitions. Must run in the transaction that stores those."""
    rows, untitled = list[NameKey](), list[int]()
    for tool, raw in tools:
        rows.append(NameKey(tool=tool, field=NameKey.Field.NAME, key=skeletons.key(tool.name)))
        if title := skeletons.key(title_of(raw)):
            rows.append(NameKey(tool=tool, field=NameKey.Field.TITLE, key=title))
        else:
            untitled.append(tool.pk)
    NameKey.objects.filter(tool__in=untitled, field=NameKey.Field.TITLE).delete()
    NameKey.objects.bulk_create(rows, update_conflicts=True, unique_fields=["tool", "field"], update_fields=["key"])


def store_missing() -> int:
    """Store the keys of tools that came before there were any; says of how many."""
    left = Tool.objects.filter(name_keys=None).select_related("seen", "approved").order_by("pk")[:_AT_ONCE]
    versions = ((tool, tool.seen or tool.approved) for tool in left)
    store_keys((tool, version.definition if version else {}) for tool, version in versions)
    return len(left)


def find(tools: Sequence[Tool]) -> dict[int, list[Collision]]:
    """Return the collisions of each of these tools that has any, by its key, those with approved tools first.

    Another tool counts unless it is gone. One of the same system counts where its name looks alike.
    """
    found: dict[int, set[Collision]] = {}
    keys = list(NameKey.objects.filter(tool__in=tools))
    by_key: dict[tuple[str, str], list[Tool]] = {}
    others = NameKey.objects.filter(key__in={row.key for row in keys}).exclude(tool__state=Tool.State.REMOVED)
    for row in others.select_related("tool__system"):
        by_key.setdefault((row.field, row.key), []).append(row.tool)
    known = {tool.pk: tool for tool in tools}
    for row in keys:
        tool = known[row.tool_id]
        for other in by_key.get((row.field, row.key), ()):
            if (sign := _sign(tool, other, row.field)) is not None:
                found.setdefault(tool.pk, set()).add(_collision(sign, other))
    for tool, other in _named(tools):
        found.setdefault(tool.pk, set()).add(_collision(Sign.NAMED_IN_TEXT, other))
    return {pk: sorted(each, key=lambda one: (not one.is_approved, one))[:MOST] for pk, each in found.items()}


def shadowing(tools: Sequence[Tool]) -> dict[int, list[Collision]]:
    """Return the collisions with approved tools of those of these tools that no person has approved yet."""
    found = find([tool for tool in tools if tool.approved_id is None])
    approved = {pk: [each for each in all_of_it if each.is_approved] for pk, all_of_it in found.items()}
    return {pk: each for pk, each in approved.items() if each}


def title_of(raw: Mapping[str, Any]) -> str:
    """Return the title of a definition, its own or that of its annotations; empty without one."""
    annotations = raw.get("annotations")
    title = raw.get("title") or (annotations.get("title") if isinstance(annotations, Mapping) else "")
    return title if isinstance(title, str) else ""


def _sign(tool: Tool, other: Tool, field: str) -> Sign | None:
    if other.pk == tool.pk or (field == NameKey.Field.TITLE and other.system_id == tool.system_id):
        return None
    if field == NameKey.Field.TITLE:
        return Sign.TITLE_LOOKS_ALIKE
    return Sign.SAME_NAME if other.name == tool.name else Sign.LOOKS_ALIKE


def _collision(sign: Sign, other: Tool) -> Collision:
    return Collision(sign, other.system.slug, other.name, other.state == Tool.State.APPROVED)


def _named(tools: Sequence[Tool]) -> list[tuple[Tool, Tool]]:
    """Pair each tool with the approved tools of other systems that its description names, and its own system lacks."""
    texts = {tool.pk: skeletons.named(_description(tool)) for tool in tools}
    if not (names := {name for each in texts.values() for name in each}):
        return []
    ours = Q(system__in={tool.system_id for tool in tools})
    rows = Tool.objects.filter(ours | Q(state=Tool.State.APPROVED), name__in=names).select_related("system")
    by_name: dict[str, list[Tool]] = {}
    for row in rows:
        by_name.setdefault(row.name, []).append(row)
    return [
        (tool, other)
        for tool in tools
        for name in texts[tool.pk]
        if (same := by_name.get(name)) and not any(other.system_id == tool.system_id for other in same)
        for other in same
        if other.state == Tool.State.APPROVED
    ]


def _description(tool: Tool) -> str:
    version = tool.seen or tool.approved
    text = version.definition.get("description") if version else None
    return text[:10_000] if isinstance(text, str) else ""
