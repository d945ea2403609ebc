"""Plans: what must change for our catalogue to match one that is kept elsewhere, and which grants lose by it.

A plan changes only what is named: a system, tool, entitlement or field that the text leaves out stays as it is.
An entitlement lists all of its tools. What cannot be done yet is listed as `unready` and left out.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, Final

from django.db import transaction

from audit import log
from audit.actions import Action
from audit.context import Principal
from entitlements.catalog import class_proposals, entitlements, errors, membership, systems, tools
from entitlements.catalog.models import Entitlement, System, Tool
from entitlements.conflicts import independence
from entitlements.decisions import limits
from entitlements.errors import DomainError
from entitlements.feed import locks
from entitlements.feed.locks import Lock
from entitlements.grants import grants
from entitlements.grants.models import Grant, GrantLine
from entitlements.proposals import proposals

_OF_SYSTEM: Final = ("name", "kind", "owner", "upstream_url")
_OF_ENTITLEMENT: Final = ("name", "sentence", "longest", "enabled", "rule")


class PlanStale(DomainError):
    """The catalogue changed since you made this plan. Make the plan again, read it, and apply that one."""

    code, status = "plan_stale", HTTPStatus.CONFLICT


@dataclass(frozen=True, slots=True)
class GrantLoss:
    """What an open grant loses: these of its tools, or what it may do with them."""

    grant: Grant
    tools: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Step:
    """One change: its act in the API, its target, the values for its action, each field before and after, the losses.

    `target` is what changes; of a new entitlement it is the system, of a new system None.
    """

    act: str
    about: str
    target: System | Tool | Entitlement | None
    values: Mapping[str, Any]
    change: Mapping[str, tuple[Any, Any]]
    losses: tuple[GrantLoss, ...] = ()


@dataclass(frozen=True, slots=True)
class Plan:
    """The steps in their order, and what cannot be done yet, each with a code."""

    steps: list[Step] = field(default_factory=list)
    unready: list[dict[str, str]] = field(default_factory=list)

    def digest(self) -> str:
        """Return what stands for all that would happen: the same exactly while the same happens to the same grants."""
        steps = [
            [step.act, step.about, step.change, [[loss.grant.pk, loss.tools] for loss in step.losses]]
            for step in self.steps
        ]
        return hashlib.sha256(json.dumps([steps, self.unready], sort_keys=True, default=str).encode()).hexdigest()

    def note_unready(self, about: str, code: str) -> None:
        """List something that cannot be done yet."""
        self.unready.append({"about": about, "code": code})


def make_plan(wanted: Mapping[str, Mapping[str, Any]]) -> Plan:
    """Compare the wanted systems, by slug, with the catalogue.

    Raises BuiltIn, SystemMalformed and SystemKindNotServed.

    Of a system: name, kind, owner (a person), upstream_url; `tools` by name, each with the fields of its approval
    or `disabled`; `entitlements` by the part of the scope behind the system, whose `tools` are limits by name.
    """
    plan = Plan()
    known = {row.slug: row for row in System.objects.select_related("owner").filter(slug__in=wanted)}
    for slug in sorted(wanted):
        _system(plan, slug, wanted[slug], known.get(slug))
    return plan


def lock(plan: Plan, slugs: Mapping[str, Any]) -> None:
    """Lock all that a plan touches, so that no grant is issued meanwhile for what it takes away."""
    rows = System.objects.filter(slug__in=slugs).values_list("pk", flat=True)
    touched = [(Lock.TOOL, step.target.pk) for step in plan.steps if isinstance(step.target, Tool)]
    losing = [(Lock.GRANT, loss.grant.pk) for step in plan.steps for loss in step.losses]
    locks.exclusive(*((Lock.SYSTEM, pk) for pk in rows), *touched, *losing)


def _system(plan: Plan, slug: str, wanted: Mapping[str, Any], system: System | None) -> None:
    about = f"system:{slug}"
    fields = {name: wanted[name] for name in _OF_SYSTEM if name in wanted}
    scopes = {f"{slug}:{name}": asked for name, asked in wanted.get("entitlements", {}).items()}
    if system is None:
        if {"name", "kind", "owner"} <= fields.keys():
            systems.check_kind(fields["kind"])
            new = {name: (None, value) for name, value in fields.items()}
            plan.steps.append(Step("systems", about, None, {"slug": slug, **fields}, new))
        else:
            plan.note_unready(about, "system_unknown")
        for about_part in [
            *(f"tool:{slug}/{name}" for name in wanted.get("tools", {})),
            *(f"entitlement:{s}" for s in scopes),
        ]:
            plan.note_unready(about_part, "system_unknown")
        return
    if system.kind == System.Kind.BUILTIN:
        raise errors.BuiltIn
    change = _differing(fields, {name: getattr(system, name) for name in fields})
    if "kind" in change:
        raise errors.SystemMalformed(slug=slug, kind=system.kind)
    if change:
        plan.steps.append(Step("system", about, system, {name: fields[name] for name in change}, change))
    tools = {tool.name: tool for tool in system.tools.select_related("system", "approved", "seen")}
    for name, asked in sorted(wanted.get("tools", {}).items()):
        _tool(plan, f"tool:{slug}/{name}", asked, tools.get(name))
    for scope, asked in sorted(scopes.items()):
        if asked.get("tools", {}).keys() <= tools.keys():
            _entitlement(plan, scope, asked, system, tools)
        else:
            plan.note_unready(f"entitlement:{scope}", "unknown_tool")


def _tool(plan: Plan, about: str, wanted: Mapping[str, Any], tool: Tool | None) -> None:
    approval = {name: value for name, value in wanted.items() if name != "disabled"}
    if tool is None:
        plan.note_unready(about, "unknown_tool")
        return
    state, approved = Tool.State(tool.state), tool.approved
    if wanted.get("disabled"):
        if state not in (Tool.State.DISABLED, Tool.State.REMOVED):
            change = {"state": (state.value, Tool.State.DISABLED.value)}
            plan.steps.append(Step("tool-disable", about, tool, {}, change, _holding(tool)))
        return
    current = {name: getattr(tool, name) for name in approval if name != "sha256"}
    change = _differing(approval, {"sha256": approved.sha256 if approved else None, **current})
    if state == Tool.State.APPROVED and not change:
        return
    approves = bool(change) or state != Tool.State.DISABLED
    if unready := _unready(tool, approval, change, approves=approves):
        plan.note_unready(about, unready)
        return
    if state == Tool.State.DISABLED:
        plan.steps.append(Step("tool-enable", about, tool, {}, {"state": (state.value, "enabled")}))
    if approves:
        plan.steps.append(Step("tool-approve", about, tool, approval, {"state": (state.value, "approved"), **change}))


def _unready(tool: Tool, approval: Mapping[str, Any], change: Mapping[str, tuple[Any, Any]], *, approves: bool) -> str:
    """Return the code of what keeps a tool from being approved so; empty for nothing."""
    if tool.state == Tool.State.REMOVED:
        return errors.ToolInWrongState.code
    if change and (tool.seen is None or tool.seen.sha256 != approval["sha256"]):
        return errors.DefinitionMoved.code
    if approves and tools.undecided(tool, approval):
        return errors.FlowsUndecided.code
    subject = class_proposals.subject(tool)
    proposed = proposals.waiting(class_proposals.KIND, [subject]).get(subject) if change else None
    waits = proposed and all(proposed.terms["to"].get(name) == new for name, (_old, new) in change.items())
    return independence.SecondPersonNeeded.code if waits else ""


def _entitlement(plan: Plan, scope: str, wanted: Mapping[str, Any], system: System, known: Mapping[str, Tool]) -> None:
    about, values = f"entitlement:{scope}", {name: wanted[name] for name in _OF_ENTITLEMENT if name in wanted}
    if values.get("rule") is not None:
        values["rule"] = membership.read(values["rule"])
    if "tools" in wanted:
        values["tools"] = {known[name]: dict(cap) for name, cap in wanted["tools"].items()}
    entitlement = Entitlement.objects.select_related("system").filter(scope=scope).first()
    if entitlement is None:
        if (
            "name" not in values
            or not ("tools" in values or values.get("rule"))
            or values.pop("enabled", True) is not True
        ):
            plan.note_unready(about, "entitlement_unknown")
            return
        new = {name: (None, wanted[name]) for name in values}
        plan.steps.append(Step("entitlements", about, system, {"scope": scope, **values}, new))
        return
    lines = {line.tool.name: line.limits for line in entitlement.lines.select_related("tool")}
    if "tools" in values and entitlement.rule is not None:
        values["rule"] = None
    now = {name: lines if name == "tools" else getattr(entitlement, name) for name in values}
    change = _differing({**values, **({"tools": wanted["tools"]} if "tools" in values else {})}, now)
    if change:
        losses = _losing(entitlement, change)
        plan.steps.append(
            Step("entitlement", about, entitlement, {name: values[name] for name in change}, change, losses)
        )


def _differing(wanted: Mapping[str, Any], current: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
    return {name: (current[name], value) for name, value in wanted.items() if current[name] != value}


def _open() -> Any:  # noqa: ANN401 - the rows of grants that have not ended
    rows = Grant.objects.filter(ended_at=None).select_related("agent", "entitlement__system").order_by("pk")
    return rows.prefetch_related("lines__tool", "subjects__person", "subjects__group")


def _holding(tool: Tool) -> tuple[GrantLoss, ...]:
    return tuple(GrantLoss(grant, (tool.name,)) for grant in _open().filter(lines__tool=tool))


def _losing(entitlement: Entitlement, change: Mapping[str, tuple[Any, Any]]) -> tuple[GrantLoss, ...]:
    """Say what open grants of an entitlement lose: all when it is disabled, tools that go, limits that tighten."""
    rows = _open().filter(entitlement=entitlement)
    if change.get("enabled", (None, True))[1] is False:
        return tuple(GrantLoss(grant, tuple(sorted(line.tool.name for line in grant.lines.all()))) for grant in rows)
    if "tools" not in change:
        return ()
    wanted_limits = change["tools"][1]
    affected = [
        (grant, tuple(sorted(line.tool.name for line in grant.lines.all() if _is_less(line, wanted_limits))))
        for grant in rows
    ]
    return tuple(GrantLoss(grant, names) for grant, names in affected if names)


def _is_less(line: GrantLine, wanted_limits: Mapping[str, Any]) -> bool:
    return line.tool.name not in wanted_limits or not limits.tightens(wanted_limits[line.tool.name], line.limits)


type Approve = Callable[[Tool, dict[str, Any]], Tool]
"""Approves a tool as the API does, which first checks the combinations that the approval completes."""


@transaction.atomic
def apply_step(step: Step, *, by: Principal, reason: str, approve: Approve) -> None:
    """Take one step with the action of its act; grants that lose by it are reduced first. Each change has its event.

    Raises what the actions raise, grants.NotNarrower among it where a grant's limits are neither within the new ones
    nor around them.
    """
    values, target = dict(step.values), step.target
    match step.act, target:
        case "systems", None:
            systems.register_system(values.pop("slug"), by=by, **values)
        case "system", System():
            systems.edit_system(target, by=by, reason=reason, **values)
        case "tool-disable", Tool():
            tools.disable_tool(target, by=by, reason=reason)
        case "tool-enable", Tool():
            tools.enable_tool(target, by=by, reason=reason)
        case "tool-approve", Tool():
            approve(target, {"data_class": target.data_class, **values})
        case "entitlements", System():
            entitlements.make_entitlement(target, values.pop("scope"), by=by, **values)
        case "entitlement", Entitlement():
            if "tools" in step.change:
                for loss in step.losses:
                    _reduce(loss, step.change["tools"][1], by=by, reason=reason)
            entitlements.edit_entitlement(target, by=by, **values)


def _reduce(loss: GrantLoss, wanted_limits: Mapping[str, Any], *, by: Principal, reason: str) -> None:
    lines = {line.tool.name: line.limits for line in loss.grant.lines.all()}
    remaining = {
        name: wanted_limits[name] if name in loss.tools else cap for name, cap in lines.items() if name in wanted_limits
    }
    if remaining:
        grants.reduce(loss.grant.pk, remaining, by=by, reason=reason)
    else:
        grants.revoke(loss.grant.pk, by=by, reason=reason)


@transaction.atomic
def record_applied(plan: Plan, *, by: Principal, reason: str) -> None:
    """Record that a plan was carried out: its digest and how many steps, about the systems that they touched."""
    slugs = {step.about.partition(":")[2].partition("/")[0].partition(":")[0] for step in plan.steps}
    detail = {"plan": plan.digest(), "steps": len(plan.steps), "losses": sum(len(step.losses) for step in plan.steps)}
    log.record(
        Action.CATALOG_APPLIED,
        about=[f"system:{slug}" for slug in sorted(slugs)],
        by=by,
        reason=reason,
        detail=detail,
    )
