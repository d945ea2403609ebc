"""A catalogue that is written down elsewhere: what has to change for ours to be like it, and who loses what by that.

Only what is named is looked at: what the text leaves out, a system, a tool, an entitlement or a field, stays as it is.
An entitlement's tools are named whole. What cannot be done yet is said (`unready`), and left out.
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
from entitlements.catalog import entitlements, errors, membership, systems, tools
from entitlements.catalog.models import Entitlement, System, Tool
from entitlements.decisions import limits
from entitlements.errors import DomainError
from entitlements.feed import locks
from entitlements.feed.locks import Lock
from entitlements.grants import grants
from entitlements.grants.models import Grant, GrantLine

_OF_SYSTEM: Final = ("name", "kind", "owner", "upstream_url")
_OF_ENTITLEMENT: Final = ("name", "sentence", "longest", "enabled", "rule")


class PlanStale(DomainError):
    """Something has changed since the plan was made: read the plan that is right now, and apply that."""

    code, status = "plan_stale", HTTPStatus.CONFLICT


@dataclass(frozen=True, slots=True)
class Loss:
    """What an open grant loses: these of its tools, or what it may do with them."""

    grant: Grant
    tools: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Step:
    """One change: which act of the API it is, on what, what its verb is told, each field before and after, the losses.

    `thing` is what is changed; of a new entitlement it is the system, of a new system nothing.
    """

    act: str
    about: str
    thing: System | Tool | Entitlement | None
    said: Mapping[str, Any]
    change: Mapping[str, tuple[Any, Any]]
    losses: tuple[Loss, ...] = ()


@dataclass(frozen=True, slots=True)
class Plan:
    """The steps in their order, and what cannot be done yet, each with a code."""

    steps: list[Step] = field(default_factory=list)
    unready: list[dict[str, str]] = field(default_factory=list)

    def digest(self) -> str:
        """Return what stands for all that would happen: the same exactly while the same happens to the same grants."""
        whole = [
            [step.act, step.about, step.change, [[loss.grant.pk, loss.tools] for loss in step.losses]]
            for step in self.steps
        ]
        return hashlib.sha256(json.dumps([whole, self.unready], sort_keys=True, default=str).encode()).hexdigest()

    def wait(self, about: str, code: str) -> None:
        """Say that something cannot be done yet."""
        self.unready.append({"about": about, "code": code})


def plan(said: Mapping[str, Mapping[str, Any]]) -> Plan:
    """Compare what is said of systems, by slug, with the catalogue.

    Raises BuiltIn, SystemMalformed and SystemKindNotServed.

    Of a system: name, kind, owner (a person), upstream_url; `tools` by name, each what its approval says, or
    `disabled`; `entitlements` by the part of the scope behind the system, whose `tools` are limits by name.
    """
    made = Plan()
    known = {row.slug: row for row in System.objects.select_related("owner").filter(slug__in=said)}
    for slug in sorted(said):
        _system(made, slug, said[slug], known.get(slug))
    return made


def held(made: Plan, slugs: Mapping[str, Any]) -> None:
    """Hold all that a plan touches alone, so that nobody is given meanwhile what it takes away."""
    rows = System.objects.filter(slug__in=slugs).values_list("pk", flat=True)
    touched = [(Lock.TOOL, step.thing.pk) for step in made.steps if isinstance(step.thing, Tool)]
    losing = [(Lock.GRANT, loss.grant.pk) for step in made.steps for loss in step.losses]
    locks.exclusive(*((Lock.SYSTEM, pk) for pk in rows), *touched, *losing)


def _system(made: Plan, slug: str, said: Mapping[str, Any], found: System | None) -> None:
    about = f"system:{slug}"
    fields = {name: said[name] for name in _OF_SYSTEM if name in said}
    scopes = {f"{slug}:{name}": asked for name, asked in said.get("entitlements", {}).items()}
    if found is None:
        if {"name", "kind", "owner"} <= fields.keys():
            systems.check_kind(fields["kind"])
            new = {name: (None, value) for name, value in fields.items()}
            made.steps.append(Step("systems", about, None, {"slug": slug, **fields}, new))
        else:
            made.wait(about, "system_unknown")
        for inside in [
            *(f"tool:{slug}/{name}" for name in said.get("tools", {})),
            *(f"entitlement:{s}" for s in scopes),
        ]:
            made.wait(inside, "system_unknown")
        return
    if found.kind == System.Kind.BUILTIN:
        raise errors.BuiltIn
    change = _differing(fields, {name: getattr(found, name) for name in fields})
    if "kind" in change:
        raise errors.SystemMalformed(slug=slug, kind=found.kind)
    if change:
        made.steps.append(Step("system", about, found, {name: fields[name] for name in change}, change))
    known = {tool.name: tool for tool in found.tools.select_related("system", "approved", "seen")}
    for name, asked in sorted(said.get("tools", {}).items()):
        _tool(made, f"tool:{slug}/{name}", asked, known.get(name))
    for scope, asked in sorted(scopes.items()):
        if asked.get("tools", {}).keys() <= known.keys():
            _entitlement(made, scope, asked, found, known)
        else:
            made.wait(f"entitlement:{scope}", "unknown_tool")


def _tool(made: Plan, about: str, asked: Mapping[str, Any], tool: Tool | None) -> None:
    said = {name: value for name, value in asked.items() if name != "disabled"}
    if tool is None:
        made.wait(about, "unknown_tool")
        return
    state, seen, approved = Tool.State(tool.state), tool.seen, tool.approved
    if asked.get("disabled"):
        if state not in (Tool.State.DISABLED, Tool.State.REMOVED):
            change = {"state": (state.value, Tool.State.DISABLED.value)}
            made.steps.append(Step("tool-disable", about, tool, {}, change, _holding(tool)))
        return
    now = {name: getattr(tool, name) for name in said if name != "sha256"}
    change = _differing(said, {"sha256": approved.sha256 if approved else None, **now})
    if state == Tool.State.APPROVED and not change:
        return
    if state == Tool.State.REMOVED:
        made.wait(about, "tool_in_wrong_state")
        return
    if change and (seen is None or seen.sha256 != said["sha256"]):
        made.wait(about, "tool_definition_moved")
        return
    approves = bool(change) or state != Tool.State.DISABLED
    if approves and tools.undecided(tool, said):
        made.wait(about, errors.FlowsUndecided.code)
        return
    if state == Tool.State.DISABLED:
        made.steps.append(Step("tool-enable", about, tool, {}, {"state": (state.value, "enabled")}))
    if approves:
        made.steps.append(Step("tool-approve", about, tool, said, {"state": (state.value, "approved"), **change}))


def _entitlement(made: Plan, scope: str, asked: Mapping[str, Any], of: System, known: Mapping[str, Tool]) -> None:
    about, said = f"entitlement:{scope}", {name: asked[name] for name in _OF_ENTITLEMENT if name in asked}
    if said.get("rule") is not None:
        said["rule"] = membership.read(said["rule"])
    if "tools" in asked:
        said["tools"] = {known[name]: dict(cap) for name, cap in asked["tools"].items()}
    found = Entitlement.objects.select_related("system").filter(scope=scope).first()
    if found is None:
        if "name" not in said or not ("tools" in said or said.get("rule")) or said.pop("enabled", True) is not True:
            made.wait(about, "entitlement_unknown")
            return
        new = {name: (None, asked[name]) for name in said}
        made.steps.append(Step("entitlements", about, of, {"scope": scope, **said}, new))
        return
    lines = {line.tool.name: line.limits for line in found.lines.select_related("tool")}
    if "tools" in said and found.rule is not None:
        said["rule"] = None
    now = {name: lines if name == "tools" else getattr(found, name) for name in said}
    change = _differing({**said, **({"tools": asked["tools"]} if "tools" in said else {})}, now)
    if change:
        losses = _losing(found, change)
        made.steps.append(Step("entitlement", about, found, {name: said[name] for name in change}, change, losses))


def _differing(said: Mapping[str, Any], now: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
    return {name: (now[name], value) for name, value in said.items() if now[name] != value}


def _open() -> Any:  # noqa: ANN401 - the rows of grants that have not ended
    rows = Grant.objects.filter(ended_at=None).select_related("agent", "entitlement__system").order_by("pk")
    return rows.prefetch_related("lines__tool", "subjects__person", "subjects__group")


def _holding(tool: Tool) -> tuple[Loss, ...]:
    return tuple(Loss(grant, (tool.name,)) for grant in _open().filter(lines__tool=tool))


def _losing(found: Entitlement, change: Mapping[str, tuple[Any, Any]]) -> tuple[Loss, ...]:
    """Say what open grants of an entitlement lose: all when it is disabled, tools that go, limits that tighten."""
    rows = _open().filter(entitlement=found)
    if change.get("enabled", (None, True))[1] is False:
        return tuple(Loss(grant, tuple(sorted(line.tool.name for line in grant.lines.all()))) for grant in rows)
    if "tools" not in change:
        return ()
    wanted = change["tools"][1]
    less = [
        (grant, tuple(sorted(line.tool.name for line in grant.lines.all() if _is_less(line, wanted)))) for grant in rows
    ]
    return tuple(Loss(grant, names) for grant, names in less if names)


def _is_less(line: GrantLine, wanted: Mapping[str, Any]) -> bool:
    return line.tool.name not in wanted or not limits.tightens(wanted[line.tool.name], line.limits)


type Approve = Callable[[Tool, dict[str, Any]], Tool]
"""Approves a tool as the door does, which looks first at what that completes."""


@transaction.atomic
def carry_out(step: Step, *, by: Principal, reason: str, approve: Approve) -> None:
    """Take one step by the verb of its act, with its event; grants that lose by it first, each with its own.

    Raises what the verbs raise, grants.NotNarrower among it where a grant's limits are neither within the new ones nor
    around them.
    """
    said, thing = dict(step.said), step.thing
    match step.act, thing:
        case "systems", None:
            systems.register_system(said.pop("slug"), by=by, **said)
        case "system", System():
            systems.edit_system(thing, by=by, reason=reason, **said)
        case "tool-disable", Tool():
            tools.disable_tool(thing, by=by, reason=reason)
        case "tool-enable", Tool():
            tools.enable_tool(thing, by=by, reason=reason)
        case "tool-approve", Tool():
            approve(thing, {"data_class": thing.data_class, **said})
        case "entitlements", System():
            entitlements.make_entitlement(thing, said.pop("scope"), by=by, **said)
        case "entitlement", Entitlement():
            if "tools" in step.change:
                for loss in step.losses:
                    _take(loss, step.change["tools"][1], by=by, reason=reason)
            entitlements.edit_entitlement(thing, by=by, **said)


def _take(loss: Loss, wanted: Mapping[str, Any], *, by: Principal, reason: str) -> None:
    lines = {line.tool.name: line.limits for line in loss.grant.lines.all()}
    left = {name: wanted[name] if name in loss.tools else cap for name, cap in lines.items() if name in wanted}
    if left:
        grants.reduce(loss.grant.pk, left, by=by, reason=reason)
    else:
        grants.revoke(loss.grant.pk, by=by, reason=reason)


@transaction.atomic
def applied(made: Plan, *, by: Principal, reason: str) -> None:
    """Record that a plan was carried out: its digest and how many steps, about the systems that they touched."""
    slugs = {step.about.partition(":")[2].partition("/")[0].partition(":")[0] for step in made.steps}
    detail = {"plan": made.digest(), "steps": len(made.steps), "losses": sum(len(step.losses) for step in made.steps)}
    log.record(
        Action.CATALOGUE_APPLIED,
        about=[f"system:{slug}" for slug in sorted(slugs)],
        by=by,
        reason=reason,
        detail=detail,
    )
