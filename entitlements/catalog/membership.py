"""Entitlements by rule: their tools are whichever approved tools of the system fit, now and later.

Only the entitlement follows: a tool that joins reaches grants that are made from then on, and one that leaves stays in
the grants that hold it, where taking it away is a decision of its own.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final, NotRequired, TypedDict

from audit import log
from audit.actions import Action
from audit.context import Principal
from entitlements.catalog.models import Entitlement, EntitlementTool, Tool
from entitlements.decisions import limits
from entitlements.feed import changes, subjects
from entitlements.words import Risk

from . import errors


class Rule(TypedDict):
    """Which tools fit: those that do one of `actions`, with a risk of at most `risk_at_most`.

    `limits` are by argument: each tool whose schema names the argument starts from the limit.
    """

    actions: list[str]
    risk_at_most: str
    limits: NotRequired[dict[str, Any]]


_FIELDS: Final = {"actions", "risk_at_most"}


def read(written: Mapping[str, Any]) -> Rule:
    """Read a rule, in its one canonical form. Raises EntitlementMalformed, limits.LimitMalformed."""
    actions, risk = written.get("actions"), written.get("risk_at_most")
    listed = isinstance(actions, list) and bool(actions) and all(action in Tool.Does.values for action in actions)
    known = set(written) - {"limits"} == _FIELDS and risk in Tool.Risk.values
    if not known or not isinstance(actions, list) or not listed:
        raise errors.EntitlementMalformed("A rule names actions, and the highest risk: read, low for example.")
    rule = Rule(actions=[action for action in Tool.Does.values if action in actions], risk_at_most=str(risk))
    if start := written.get("limits"):
        limits.compile(start)
        rule["limits"] = dict(start)
    return rule


def fits(rule: Rule, tool: Tool) -> bool:
    """Whether a tool is approved, with an action and a risk level that the rule takes."""
    is_mild = Risk(tool.risk).rank <= Risk(rule["risk_at_most"]).rank
    return tool.state == Tool.State.APPROVED and tool.action in rule["actions"] and is_mild


def initial_limits(rule: Rule, tool: Tool) -> dict[str, Any]:
    """Return the limits that a tool starts from: those of the rule on arguments that its approved schema names."""
    schema = tool.approved.definition.get("inputSchema") if tool.approved else None
    properties = schema.get("properties") if isinstance(schema, Mapping) else None
    arguments = properties if isinstance(properties, Mapping) else {}
    return {name: limit for name, limit in rule.get("limits", {}).items() if name.partition(".")[0] in arguments}


def update_members(systems: Iterable[int], *, by: Principal) -> None:
    """Bring every entitlement by rule of these systems up to date, one event for each that changed.

    The systems' locks are held. A tool that is stopped stays in, since it cannot be called and may come back.
    """
    ruled = Entitlement.objects.filter(system__in=set(systems), rule__isnull=False).select_related("system")
    for entitlement in ruled.order_by("pk"):
        _follow(entitlement, by=by)


def _follow(entitlement: Entitlement, *, by: Principal) -> None:
    rule = read(entitlement.rule or {})
    inside = {line.tool_id: line for line in entitlement.lines.select_related("tool")}
    fitting = [
        tool for tool in entitlement.system.tools.select_related("approved").order_by("name") if fits(rule, tool)
    ]
    added = [tool for tool in fitting if tool.pk not in inside]
    left = [line for line in inside.values() if line.tool.state == Tool.State.APPROVED and not fits(rule, line.tool)]
    if not added and not left:
        return
    EntitlementTool.objects.filter(pk__in=[line.pk for line in left]).delete()
    EntitlementTool.objects.bulk_create(
        [EntitlementTool(entitlement=entitlement, tool=tool, limits=initial_limits(rule, tool)) for tool in added]
    )
    entitlement.version += 1
    entitlement.save(update_fields=["version"])
    about = [f"entitlement:{entitlement.scope}", f"system:{entitlement.system.slug}"]
    names = {"added": [tool.name for tool in added], "removed": sorted(line.tool.name for line in left)}
    log.record(Action.ENTITLEMENT_EDITED, about=about, by=by, detail={"rule": dict(rule), **names})
    changes.note(subjects.system(entitlement.system_id))
