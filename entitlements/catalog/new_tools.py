"""Tools that are seen for the first time: rows with a suggestion each, in a fixed number of statements."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from django.db.models import OuterRef, Subquery

from audit import clock
from entitlements.catalog.models import System, Tool, ToolVersion
from entitlements.definitions import classes, definitions, primitives
from entitlements.name_collisions import collisions


def add_tools(offered: Iterable[tuple[System, Mapping[str, Any]]]) -> list[Tool]:
    """Make a pending tool, with the definition as it came, of each (system, checked raw definition).

    Must run in the transaction that holds the systems' locks and records what was found.
    """
    rows = [(_tool(system, raw), raw) for system, raw in offered]
    tools = Tool.objects.bulk_create([tool for tool, _ in rows])
    now = clock.now()
    versions = ToolVersion.objects.bulk_create(
        [ToolVersion(tool=tool, definition=raw, sha256=definitions.digest(raw), seen_at=now) for tool, raw in rows]
    )
    newest = ToolVersion.objects.filter(tool=OuterRef("pk")).values("pk")[:1]
    Tool.objects.filter(pk__in=[tool.pk for tool in tools]).update(seen=Subquery(newest))
    for tool, version in zip(tools, versions, strict=True):
        tool.seen = version
    collisions.store_keys((tool, raw) for tool, (_, raw) in zip(tools, rows, strict=True))
    return tools


def store_suggestion(tool: Tool, raw: Mapping[str, Any]) -> None:
    """Store what the rules suggest for the current definition.

    A tool that is not approved yet carries the suggestion in its own columns as well; a person's answers stay.
    """
    suggestion = classes.suggest(raw)
    tool.suggestion = suggestion.as_json()
    if tool.approved_id is None:
        tool.sentence = suggestion.sentence
        tool.action, tool.risk, tool.data_class = suggestion.action.value, suggestion.risk.value, suggestion.data_class


def _tool(system: System, raw: Mapping[str, Any]) -> Tool:
    name = str(raw["name"])
    tool = Tool(system=system, name=name, primitive=primitives.of_name(name).value, state=Tool.State.PENDING)
    store_suggestion(tool, raw)
    return tool
