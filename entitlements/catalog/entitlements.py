"""Actions on entitlements: make one, edit one. What a grant holds never changes behind its back."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any, TypedDict, Unpack

from django.db import IntegrityError, transaction

from audit import log
from audit.actions import Action
from audit.context import Principal
from entitlements.catalog.models import Entitlement, EntitlementTool, System, Tool
from entitlements.conflicts import independence
from entitlements.decisions import limits, scopes
from entitlements.errors import NotFound, Stale
from entitlements.feed import changes, locks, subjects
from entitlements.feed.locks import Lock
from entitlements.grants.models import GrantLine

from . import errors, membership


class EntitlementChanges(TypedDict, total=False):
    """What can be changed beside the tools."""

    name: str
    sentence: str
    longest: timedelta
    enabled: bool
    rule: membership.Rule | None


type Lines = Mapping[Tool, Mapping[str, Any]]


@transaction.atomic
def make_entitlement(
    system: System,
    scope: str,
    *,
    name: str,
    tools: Lines | None = None,
    rule: Mapping[str, Any] | None = None,
    longest: timedelta = timedelta(days=90),
    sentence: str = "",
    by: Principal,
) -> Entitlement:
    """Bundle tools of a system, each with the limits that every grant starts from. `scope` is `system:name`.

    Instead of tools a `rule` can be given (`membership.Rule`): then its tools are whichever approved ones fit.
    Raises scopes.ScopeMalformed, ScopeTaken, EntitlementMalformed, limits.LimitMalformed.
    """
    if scopes.system_of(scope) != system.slug:
        raise scopes.ScopeMalformed(f"The scope begins with {system.slug}: and is in lower case.", scope=scope)
    locks.exclusive((Lock.SYSTEM, system.pk))
    kept = membership.read(rule) if rule is not None else None
    tools = _fitting(system, kept, tools) if kept is not None else tools or {}
    _check(system, tools if kept is None else None, longest)
    try:
        with transaction.atomic():
            entitlement = Entitlement.objects.create(
                system=system, scope=scope, name=name, sentence=sentence, longest=longest, rule=kept
            )
    except IntegrityError as error:
        raise errors.ScopeTaken(scope=scope) from error
    EntitlementTool.objects.bulk_create(
        [EntitlementTool(entitlement=entitlement, tool=tool, limits=dict(cap)) for tool, cap in tools.items()]
    )
    detail = {"lines": _limits_by_tool(tools), "longest_seconds": int(longest.total_seconds())}
    detail |= {"rule": kept} if kept is not None else {}
    log.record(Action.ENTITLEMENT_MADE, about=about(entitlement), by=by, detail=detail)
    return entitlement


def about(entitlement: Entitlement) -> list[str]:
    """Return the links by which the record of an entitlement is found again."""
    return [f"entitlement:{entitlement.scope}", f"system:{entitlement.system.slug}"]


@transaction.atomic
def edit_entitlement(
    entitlement: Entitlement,
    *,
    by: Principal,
    version: int | None = None,
    tools: Lines | None = None,
    **fields: Unpack[EntitlementChanges],
) -> Entitlement:
    """Change name, sentence, longest, enabled, rule or tools. The scope, being a name on the wire, never changes.

    A tool that open grants hold cannot be taken out or tightened (EntitlementInUse): change those grants
    first, each with its own event. `enabled=False` stops the entitlement with every grant of it, and another person
    must enable it. Raises Stale, NotFound, SecondPersonNeeded and what `make_entitlement` raises.
    """
    locks.exclusive((Lock.SYSTEM, entitlement.system_id))
    try:
        locked = Entitlement.objects.select_related("system").get(pk=entitlement.pk)
    except Entitlement.DoesNotExist as error:
        raise NotFound from error
    if version is not None and locked.version != version:
        raise Stale
    if (rule := fields.get("rule")) is not None:
        fields["rule"] = membership.read(rule)
    if tools is not None and fields.get("rule", locked.rule) is not None:
        raise errors.EntitlementMalformed("Its tools follow a rule; take the rule away first.")
    changed = {name: value for name, value in fields.items() if getattr(locked, name) != value}
    lines = _lines(locked)
    moved = tools is not None and {tool.pk: dict(cap) for tool, cap in tools.items()} != lines
    if not changed and not moved:
        return locked
    _check_start(locked, changed, by)
    _check(locked.system, tools, fields.get("longest", locked.longest))
    if tools is not None and moved:
        _replace(locked, tools, lines)
    now = fields.get("rule") if "rule" in changed else None
    if now is not None and now.get("limits") != (locked.rule or {}).get("limits"):
        inside = [line.tool for line in locked.lines.select_related("tool__approved")]
        _replace(locked, {tool: membership.initial_limits(now, tool) for tool in inside}, lines)
    for name, value in changed.items():
        setattr(locked, name, value)
    locked.version += 1
    locked.save(update_fields=[*changed, "version"])
    values = {name: str(value) if isinstance(value, timedelta) else value for name, value in changed.items()}
    detail = {**values, **({"lines": _limits_by_tool(tools)} if tools is not None and moved else {})}
    log.record(Action.ENTITLEMENT_EDITED, about=about(locked), by=by, detail=detail)
    changes.note(subjects.system(locked.system_id))
    if locked.rule is not None:
        membership.update_members([locked.system_id], by=by)
    return locked


def _fitting(system: System, rule: membership.Rule, tools: Lines | None) -> Lines:
    if tools:
        raise errors.EntitlementMalformed("Name tools or a rule, not both.")
    fitting = [tool for tool in system.tools.select_related("approved").order_by("name") if membership.fits(rule, tool)]
    return {tool: membership.initial_limits(rule, tool) for tool in fitting}


def _lines(entitlement: Entitlement) -> dict[int, dict[str, Any]]:
    return {line.tool_id: line.limits for line in entitlement.lines.all()}


def _replace(entitlement: Entitlement, tools: Lines, lines: Mapping[int, Mapping[str, Any]]) -> None:
    """Put the new lines in place of the old, unless an open grant would lose something by it."""
    wanted = {tool.pk: cap for tool, cap in tools.items()}
    held = GrantLine.objects.filter(grant__entitlement=entitlement, grant__ended_at=None, tool__in=lines)
    for line in held.select_related("tool"):
        if line.tool_id not in wanted or not limits.tightens(wanted[line.tool_id], line.limits):
            raise errors.EntitlementInUse(tool=line.tool.name, grant=str(line.grant_id))
    entitlement.lines.exclude(tool__in=wanted).delete()
    for tool, cap in tools.items():
        EntitlementTool.objects.update_or_create(entitlement=entitlement, tool=tool, defaults={"limits": dict(cap)})


def _check(system: System, tools: Lines | None, longest: timedelta) -> None:
    if longest <= timedelta(0):
        raise errors.EntitlementMalformed("An entitlement lasts some time.")
    if tools is None:
        return
    if not tools:
        raise errors.EntitlementMalformed("An entitlement needs at least one tool.")
    for tool, cap in tools.items():
        if tool.system_id != system.pk:
            raise errors.EntitlementMalformed("The tool belongs to another system.", tool=tool.name)
        limits.compile(cap)


def _check_start(entitlement: Entitlement, changed: Mapping[str, object], by: Principal) -> None:
    """Refuse to enable what the same person stopped: one event tells of stops and of every other change."""
    if changed.get("enabled"):
        independence.check_start(about(entitlement)[0], Action.ENTITLEMENT_EDITED, by, enabled=False)


def _limits_by_tool(tools: Lines) -> dict[str, dict[str, Any]]:
    return {tool.name: dict(cap) for tool, cap in tools.items()}
