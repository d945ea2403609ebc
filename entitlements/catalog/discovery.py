"""Discovery: the tools that a server lists, compared with the pinned ones: new, changed, gone, back (promise 7)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec
from django.db import transaction
from django.db.models import F, Q

from audit import clock, log
from audit.actions import Action
from audit.context import Principal
from entitlements.catalog.models import System, Tool, ToolVersion
from entitlements.codes import Code
from entitlements.definition_watch import discovery_schedule
from entitlements.definitions import definitions, differences, offers
from entitlements.definitions.definitions import Consequence
from entitlements.definitions.primitives import MEMBER
from entitlements.errors import DomainError, Stale
from entitlements.feed import changes, locks, subjects
from entitlements.feed.locks import Lock
from entitlements.name_collisions import collisions
from entitlements.rest import operation
from entitlements.secret_scan import scan
from entitlements.words import Risk

from . import new_tools, tools

_MOST_SENTENCES, _LONGEST_SENTENCE = 30, 400
MOST_TOOLS: Final = 2000


class ListMalformed(DomainError):
    """The server's list of tools is too long or names a tool twice."""

    code, status = definitions.DefinitionMalformed.code, definitions.DefinitionMalformed.status


@dataclass(slots=True)
class Discovery:
    """The result of one discovery, by tool name. A `malformed` tool is not taken in."""

    added: list[str] = field(default_factory=list)
    changed: list[str] = field(default_factory=list)
    quarantined: list[str] = field(default_factory=list)
    removed: list[str] = field(default_factory=list)
    returned: list[str] = field(default_factory=list)
    malformed: dict[str, str] = field(default_factory=dict)
    leaked: dict[str, set[str]] = field(default_factory=dict)
    """Of tools whose definition held secrets of the vault: the systems that these open. They were taken out."""


@transaction.atomic
def record_discovery(system: System, raw_tools: Iterable[object], *, by: Principal, complete: bool = True) -> Discovery:
    """Compare a `tools/list` of a server with the pinned definitions, and record what changed.

    `raw_tools` are the tool objects as they came on the wire, and what `offers.listed` made of all else. A new tool
    waits for its first review. A changed one goes
    on under its approved text where only texts changed and its risk is at most medium, else is quarantined. One
    that vanished is removed, and waits for a review when it is back; of a list that is not `complete` nothing has
    vanished. Seeing the same again changes and records nothing.
    Raises ListMalformed, and Stale when the system moved since it was asked.
    """
    result = Discovery()
    offered = _readable(raw_tools, result, with_operation=system.kind == System.Kind.HTTP)
    known = {tool.name: tool.pk for tool in system.tools.all()}
    locks.exclusive((Lock.SYSTEM, system.pk), *((Lock.TOOL, pk) for pk in known.values()))
    if not System.objects.filter(pk=system.pk, upstream_url=system.upstream_url).exists():
        raise Stale  # it moved while it was asked
    pinned = {tool.name: tool for tool in system.tools.select_related("system", "approved", "seen")}
    for name in [name for name in offered if name in pinned]:
        update_tool(pinned[name], offered[name], result, by=by)
    _first(system, {name: raw for name, raw in offered.items() if name not in pinned}, result, by=by)
    _record_leaks(system, result, by=by)
    if not complete:
        return result
    for name in sorted(pinned.keys() - offered.keys()):
        _gone(pinned[name], result, by=by)
    System.objects.filter(pk=system.pk).update(discovered_at=clock.now())
    discovery_schedule.record_success(system)
    return result


def _record_leaks(system: System, result: Discovery, *, by: Principal) -> None:
    """Record each definition that is new here and came with a secret; the same again records nothing."""
    for name in {*result.added, *result.changed, *result.returned} & result.leaked.keys():
        opened = sorted(result.leaked[name])
        about = [f"system:{slug}" for slug in {system.slug, *opened}]
        detail = {"system": system.slug, "tool": name, "opens": opened}
        code = Code.SECRET_IN_ANSWER.value
        log.record(Action.SECRET_LEAKED, about=about, by=by, outcome="failure", code=code, detail=detail)


def changed() -> Q:
    """Return what selects tools offered otherwise than they were approved: stopped for it, or served as approved."""
    differs = Q(state=Tool.State.APPROVED, seen__isnull=False) & ~Q(seen=F("approved"))
    return Q(state=Tool.State.QUARANTINED) | differs


def _readable(raw_tools: Iterable[object], result: Discovery, *, with_operation: bool) -> dict[str, dict[str, Any]]:
    offered: dict[str, dict[str, Any]] = {}
    listed, marks = list(raw_tools), scan.of_database()
    if sum(not (isinstance(raw, Mapping) and MEMBER in raw) for raw in listed) > MOST_TOOLS:
        raise ListMalformed("The server offers too many tools.", most=MOST_TOOLS)
    for number, raw in enumerate(listed):
        try:
            tool, owners = scan.cleaned(marks, offers.check(raw))
            definitions.canonical(tool)
            if with_operation:
                operation.of(tool)
        except (definitions.DefinitionMalformed, msgspec.MsgspecError) as why:
            named = offers.named(raw)
            problem = why.message if isinstance(why, DomainError) else "It has no operation of a REST API."
            result.malformed[named[:128] or f"#{number}"] = problem
            continue
        if tool["name"] in offered:
            raise ListMalformed("The server names a tool twice.", tool=tool["name"])
        offered[tool["name"]] = tool
        if owners:
            result.leaked[tool["name"]] = owners
    return offered


def _first(system: System, offered: Mapping[str, dict[str, Any]], result: Discovery, *, by: Principal) -> None:
    """Add the new tools, in one statement."""
    added = new_tools.add_tools((system, raw) for raw in offered.values())
    result.added.extend(offered)
    found = collisions.find(added)
    rows = [log.Row(about=tools.about(tool), detail=_suggested(tool) | _told(found, tool)) for tool in added]
    log.record_many(Action.TOOL_FOUND, rows, by=by)


def _suggested(tool: Tool) -> dict[str, object]:
    suggestion = tool.suggestion or {}
    because = [reason["text"] for reason in suggestion.get("because", [])]
    facts = {"action": tool.action, "risk": tool.risk, "because": because, "rules": suggestion.get("version", "")}
    return {"sha256": tool.seen.sha256 if tool.seen else "", **facts}


def _told(found: Mapping[int, list[collisions.Collision]], tool: Tool) -> dict[str, object]:
    """Return what an event says of the tools that a tool collides with; nothing where there is none."""
    return {"collides": [each.as_json() for each in found[tool.pk]]} if tool.pk in found else {}


def update_tool(tool: Tool, raw: dict[str, Any], result: Discovery, *, by: Principal) -> None:
    """Apply the definition that the server now gives for a known tool; the caller holds the tool's lock."""
    digest = definitions.digest(raw)
    if tool.state == Tool.State.REMOVED:
        _back(tool, raw, result, by=by)
    elif tool.seen is None or tool.seen.sha256 != digest:
        _changed(tool, raw, digest, result, by=by)


def _changed(tool: Tool, raw: dict[str, Any], digest: str, result: Discovery, *, by: Principal) -> None:
    """Take in a new definition; what it means is measured against the *approved* one, or small steps would add up."""
    pinned = tool.approved.definition if tool.approved else (tool.seen.definition if tool.seen else None)
    change = definitions.classify(pinned, raw)
    consequence = definitions.consequence(change, Risk(tool.risk))
    stops = tool.state == Tool.State.APPROVED and consequence is Consequence.QUARANTINE
    tool.seen = _version(tool, raw)
    if stops:
        tool.state = Tool.State.QUARANTINED
        result.quarantined.append(tool.name)
    _save(tool, raw)
    result.changed.append(tool.name)
    detail = {
        "sha256": digest,
        "change": change.value,
        "consequence": consequence.value if stops or consequence is Consequence.KEEP_SERVING else "none",
        "state": tool.state,
        "difference": _cut(differences.difference(pinned, raw)),
        **_told(collisions.find([tool]), tool),
    }
    log.record(Action.TOOL_CHANGED, about=tools.about(tool), by=by, detail=detail)


def _gone(tool: Tool, result: Discovery, *, by: Principal) -> None:
    if tool.state == Tool.State.REMOVED:
        return
    if tool.state == Tool.State.DISABLED:  # a person's stop outlives the server's absence
        return
    was, tool.state = tool.state, Tool.State.REMOVED
    tool.version += 1
    tool.save(update_fields=["state", "version"])
    result.removed.append(tool.name)
    log.record(Action.TOOL_REMOVED, about=tools.about(tool), by=by, detail={"from": was})
    changes.note(subjects.tool(tool.pk))


def _back(tool: Tool, raw: dict[str, Any], result: Discovery, *, by: Principal) -> None:
    """Take a tool back in, never straight into service: another server may have taken the first one's place."""
    tool.seen = _version(tool, raw)
    tool.state = Tool.State.QUARANTINED if tool.approved_id else Tool.State.PENDING
    _save(tool, raw)
    result.returned.append(tool.name)
    pinned = tool.approved.definition if tool.approved else None
    difference = _cut(differences.difference(pinned, raw)) if pinned else []
    detail = {"sha256": tool.seen.sha256, "state": tool.state, "difference": difference}
    log.record(Action.TOOL_RETURNED, about=tools.about(tool), by=by, detail=detail)


def _version(tool: Tool, raw: dict[str, Any]) -> ToolVersion:
    version, _ = ToolVersion.objects.get_or_create(
        tool=tool, sha256=definitions.digest(raw), defaults={"definition": raw, "seen_at": clock.now()}
    )
    return version


def _save(tool: Tool, raw: Mapping[str, Any]) -> None:
    new_tools.store_suggestion(tool, raw)
    collisions.store_keys([(tool, raw)])
    tool.version += 1
    tool.save(update_fields=["seen", "state", "version", "suggestion", "sentence", "action", "risk", "data_class"])
    changes.note(subjects.tool(tool.pk))


def _cut(sentences: list[str]) -> list[str]:
    kept = [sentence[:_LONGEST_SENTENCE] for sentence in sentences[:_MOST_SENTENCES]]
    omitted = len(sentences) - len(kept)
    return [*kept, f"And {omitted} more differences."] if omitted else kept
