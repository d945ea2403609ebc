"""What the pages of systems and tools read."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.db.models import Count, F, Q, QuerySet

from entitlements.access import visibility
from entitlements.access.caller import Caller
from entitlements.catalog import class_proposals
from entitlements.catalog.models import System, Tool
from entitlements.definitions import differences, impressions, offers
from entitlements.definitions.impressions import Sign
from entitlements.grants.models import GrantLine
from governance.console.kit import diff
from governance.sod import queries as sod_queries

WAITING = (Tool.State.PENDING, Tool.State.QUARANTINED)


def to_look_at(prefix: str = "") -> Q:
    """Select the tools that need a review: those that wait, and those whose served definition changed."""
    waits = Q(**{f"{prefix}state__in": WAITING})
    served = Q(**{f"{prefix}state": Tool.State.APPROVED, f"{prefix}seen__isnull": False})
    return waits | (served & ~Q(**{f"{prefix}seen": F(f"{prefix}approved")}))


def counted(rows: QuerySet[System]) -> QuerySet[System]:
    """Count the approved tools of each system, and those that need a review."""
    return rows.select_related("owner__sourced").annotate(
        tools_approved=Count("tools", filter=Q(tools__state=Tool.State.APPROVED)),
        tools_waiting=Count("tools", filter=to_look_at("tools__")),
    )


def tools_of(caller: Caller, system: System, wanted: Mapping[str, str]) -> list[Tool]:
    """Return the tools of a system, those that wait first, with the agents that hold each counted."""
    rows = visibility.tools(caller).filter(system=system).annotate(waits=class_proposals.waits())
    if text := wanted.get("q", "").strip():
        rows = rows.filter(Q(name__icontains=text) | Q(sentence__icontains=text))
    for name in ("state", "risk"):
        if value := wanted.get(name):
            rows = rows.filter(**{name: value})
    tools = list(rows)
    # That the grant is of the system is known from its line, and repeated here for the query planner.
    count_holders(tools, GrantLine.objects.filter(grant__entitlement__system=system))
    order = {state: place for place, state in enumerate(("quarantined", "pending", "approved", "disabled", "removed"))}
    return sorted(tools, key=lambda tool: (order.get(tool.state, 9), tool.name))


def count_holders(tools: Sequence[Tool], lines: QuerySet[GrantLine]) -> None:
    """Set on each tool how many agents hold it, as `held`."""
    live = lines.filter(tool__in=tools, grant__ended_at=None)
    held = dict(live.values("tool").annotate(n=Count("grant__agent", distinct=True)).values_list("tool", "n"))
    for tool in tools:
        vars(tool)["held"] = held.get(tool.pk, 0)


@dataclass(frozen=True, slots=True)
class Definition:
    """A definition as a person reads it: its parts as text, and what hides in them."""

    title: str
    description: str
    arguments: list[tuple[str, str, bool]]
    raw: str
    sha256: str
    signs: dict[Sign, int]
    slow_patterns: list[str]


def readable(raw: Mapping[str, Any], sha256: str) -> Definition:
    """Take a raw definition apart. Everything in it was written by a stranger."""
    schema = raw.get("inputSchema")
    declared = schema.get("properties") if isinstance(schema, Mapping) else None
    properties: Mapping[str, Any] = declared if isinstance(declared, Mapping) else {}
    required = schema.get("required") if isinstance(schema, Mapping) else None
    must = set(map(str, required)) if isinstance(required, list) else set()
    findings, signs = list(impressions.inspect(raw)), Counter[Sign]()
    for finding in findings:
        signs[finding.sign] += finding.count * (finding.sign is not Sign.SLOW_PATTERN)
    return Definition(
        str(raw.get("title") or ""),
        str(raw.get("description") or ""),
        [(name, _argument_text(argument), name in must) for name, argument in properties.items()],
        json.dumps(offers.served(raw), indent=2, ensure_ascii=False)[:50_000],
        sha256,
        dict(+signs),  # a template asks a dictionary for `items` first
        [finding.place for finding in findings if finding.sign is Sign.SLOW_PATTERN],
    )


def _argument_text(argument: object) -> str:
    if not isinstance(argument, Mapping):
        return "anything"
    kind = argument.get("type")
    text = kind if isinstance(kind, str) else "value"
    if isinstance(choices := argument.get("enum"), list):
        text += ": " + ", ".join(map(str, choices[:12])) + (", …" if len(choices) > 12 else "")  # noqa: PLR2004
    described = argument.get("description")
    return f"{text}; {described}" if isinstance(described, str) and described else text


def _sides(tool: Tool, approved: Mapping[str, Any] | None, seen: Mapping[str, Any] | None) -> list[diff.Change]:
    """Set the approved definition beside the one that is offered; nothing where they are one."""
    if approved is None or seen is None or tool.approved_id == tool.seen_id:
        return []
    rows, same = diff.definitions(approved, seen)
    return [diff.Change("~", tool.name, tuple(differences.difference(approved, seen)), rows, same)]


def words_of(tool: Tool) -> dict[str, Any]:
    """Return both definitions of a tool in words, their difference, and what we would suggest."""
    approved = tool.approved.definition if tool.approved else None
    seen = tool.seen.definition if tool.seen else None
    return {
        "approved": readable(tool.approved.definition, tool.approved.sha256) if tool.approved else None,
        "seen": readable(tool.seen.definition, tool.seen.sha256) if tool.seen else None,
        "moved": bool(approved and seen and tool.approved_id != tool.seen_id),
        "difference": differences.difference(approved, seen) if approved and seen else [],
        "sides": _sides(tool, approved, seen),
        **sod_queries.suggestion_of(tool),
    }
