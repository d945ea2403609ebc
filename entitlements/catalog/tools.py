"""Actions on tools: approve what was reviewed, quarantine, disable, enable."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from django.db import transaction

from audit import clock, log
from audit.actions import Action
from audit.context import Principal
from entitlements.catalog.models import Tool, ToolVersion
from entitlements.conflicts import independence
from entitlements.definitions import classes, tool_class
from entitlements.errors import NotFound
from entitlements.feed import changes, locks, subjects
from entitlements.feed.locks import Lock
from entitlements.name_collisions import collisions
from entitlements.people.models import Person
from entitlements.proposals import proposals
from entitlements.words import REQUEST_ACCESS_TOOL

from . import class_proposals, errors, membership

_CONFIRMED: Final = ("approved", "state", "sentence", "action", "risk", "data_class", *classes.FLOWS)


@dataclass(frozen=True, slots=True)
class Approval:
    """A person's approval of a tool: which definition they read, what it does, its risk level.

    `flows` says yes or no to `reads_private`, `ingests_untrusted` and `egress_external`; the rest stays as it is, and
    so does the data class where it is empty. What is lower than before waits for a second person (`served`).
    """

    tool: Tool
    sha256: str
    sentence: str
    action: str
    risk: str
    data_class: str = ""
    flows: Mapping[str, bool | None] = field(default_factory=dict)


def undecided(tool: Tool, flows: Mapping[str, bool | None]) -> list[str]:
    """Return the flow labels of a tool that are neither yes nor no once `flows` are set."""
    return [flow for flow in classes.FLOWS if flows.get(flow, getattr(tool, flow)) is None]


def asked(approval: Approval) -> tool_class.ToolClass:
    """Return the class that an approval asks for."""
    flows = {flow: getattr(approval.tool, flow) for flow in classes.FLOWS} | dict(approval.flows)
    data_class = approval.data_class or class_proposals.least(approval.tool).data_class
    return tool_class.ToolClass(approval.action, approval.risk, data_class, **flows)


def served(approval: Approval) -> Approval:
    """Return an approval as it takes effect at once: what lowers the tool's class is left as it is."""
    held = tool_class.served(class_proposals.least(approval.tool), asked(approval)).as_json()
    flows = {flow: held.pop(flow) for flow in classes.FLOWS}
    return replace(approval, **held, flows=flows)


def about(tool: Tool) -> list[str]:
    """Return the links by which the record of a tool is found again."""
    return [f"tool:{tool.system.slug}/{tool.name}", f"system:{tool.system.slug}"]


@transaction.atomic
def approve_tool(approval: Approval, *, by: Principal, reason: str = "") -> Tool:
    """Pin the definition that a person read, and let it be served; its flow labels may stay undecided.

    Raises as `approve_tools` does, FlowsUndecided and ToolNameCollides aside: the person was shown both.
    """
    return _approve_all([approval], by=by, reason=reason, among_others=False)[0]


@transaction.atomic
def approve_tools(approvals: Iterable[Approval], *, by: Principal, reason: str = "") -> list[Tool]:
    """Pin several definitions at once, all or none; one event each. Returns the tools as they are now.

    Raises FlowsUndecided for a tool with an undecided flow label, DefinitionMoved when the server's newest definition
    is not the one that was read, ToolInWrongState for a tool that is removed or disabled, ToolNameCollides for a new
    tool that collides with an approved one, ToolNameTaken, ToolMalformed, NotFound.
    """
    return _approve_all(list(approvals), by=by, reason=reason, among_others=True)


def _approve_all(approvals: Sequence[Approval], *, by: Principal, reason: str, among_others: bool) -> list[Tool]:
    systems = {approval.tool.system_id for approval in approvals}
    # The system's lock as well, since entitlements by rule follow.
    locks.exclusive(*((Lock.SYSTEM, pk) for pk in systems), *((Lock.TOOL, approval.tool.pk) for approval in approvals))
    approver = Person.objects.filter(login=by.name).first() if by.kind == "person" else None
    if among_others and (met := collisions.shadowing([_get(approval.tool) for approval in approvals])):
        tool = next(approval.tool for approval in approvals if approval.tool.pk in met)
        raise errors.ToolNameCollides(tool=tool.name, collides=[each.as_json() for each in met[tool.pk]])
    approved = [_approve(approval, approver, by=by, reason=reason, among_others=among_others) for approval in approvals]
    membership.update_members(systems, by=by)
    return approved


def _approve(approval: Approval, approver: Person | None, *, by: Principal, reason: str, among_others: bool) -> Tool:
    tool = _get(approval.tool)
    sentence = approval.sentence.strip()
    if tool.name == REQUEST_ACCESS_TOOL:
        raise errors.ToolNameTaken(tool=tool.name)
    if (
        approval.flows.keys() - set(classes.FLOWS)
        or not sentence
        or approval.action not in Tool.Does.values
        or approval.risk not in Tool.Risk.values
    ):
        raise errors.ToolMalformed(tool=tool.name)
    if tool.state in (Tool.State.REMOVED, Tool.State.DISABLED):  # a disabled tool is enabled by `enable_tool`
        raise errors.ToolInWrongState(tool=tool.name, state=tool.state)
    version = tool.seen
    if version is None or version.sha256 != approval.sha256:
        raise errors.DefinitionMoved(tool=tool.name)
    if among_others and (labels := undecided(tool, approval.flows)):
        raise errors.FlowsUndecided(tool=tool.name, undecided=labels)
    now, wanted, least = clock.now(), asked(replace(approval, tool=tool)), class_proposals.least(tool)
    silent = {flow for flow in classes.FLOWS if getattr(wanted, flow) is None and getattr(tool, flow) is not True}
    lowers = set(tool_class.lowered(least, wanted)) - silent
    held = tool_class.served(least, wanted)
    ToolVersion.objects.filter(pk=version.pk, approved_at=None).update(approved_at=now, approved_by=approver)
    tool.approved, tool.state, tool.sentence = version, Tool.State.APPROVED, sentence
    tool_class.put(tool, held)
    tool.version += 1
    tool.save(update_fields=[*_CONFIRMED, "version"])
    detail = {"sha256": version.sha256, "sentence": sentence, **held.as_json()}
    log.record(Action.TOOL_APPROVED, about=about(tool), by=by, reason=reason, detail=detail)
    changes.note(subjects.tool(tool.pk))
    if lowers:
        to = {name: value for name, value in wanted.as_json().items() if name in lowers}
        terms = {"sha256": version.sha256, "from": held.as_json(), "to": held.as_json() | to}
        proposals.propose(class_proposals.KIND, class_proposals.subject(tool), terms, by=by, reason=reason)
    else:
        proposals.replace(class_proposals.KIND, class_proposals.subject(tool), by=by, reason=reason)
    return tool


@transaction.atomic
def quarantine(tool: Tool, *, by: Principal, reason: str) -> Tool:
    """Stop a tool until a person has reviewed it again. Twice changes and records nothing. Raises ToolInWrongState."""
    return _stop(tool, Tool.State.QUARANTINED, Action.TOOL_QUARANTINED, by=by, reason=reason)


@transaction.atomic
def disable_tool(tool: Tool, *, by: Principal, reason: str) -> Tool:
    """Stop a tool for good or until it is enabled. Doing it twice changes and records nothing."""
    return _stop(tool, Tool.State.DISABLED, Action.TOOL_DISABLED, by=by, reason=reason)


@transaction.atomic
def enable_tool(tool: Tool, *, by: Principal, reason: str) -> Tool:
    """Let a disabled tool be called again, if its approved definition is still what the server offers.

    Otherwise it waits for a review (pending, or quarantined when it was approved before). Raises ToolInWrongState, and
    SecondPersonNeeded for the person who disabled it.
    """
    locked = _locked(tool)
    if locked.state != Tool.State.DISABLED:
        raise errors.ToolInWrongState(tool=locked.name, state=locked.state)
    independence.check_start(about(locked)[0], Action.TOOL_DISABLED, by)
    if locked.approved_id is None:
        state = Tool.State.PENDING
    else:
        state = Tool.State.APPROVED if locked.approved_id == locked.seen_id else Tool.State.QUARANTINED
    return _set(locked, state, Action.TOOL_ENABLED, by=by, reason=reason)


def _stop(tool: Tool, state: Tool.State, action: Action, *, by: Principal, reason: str) -> Tool:
    locked = _locked(tool)
    if locked.state == state:
        return locked
    # A stop of another kind is not loosened: quarantine would let a mere approval bring a disabled tool back.
    if state == Tool.State.QUARANTINED and locked.state in (Tool.State.DISABLED, Tool.State.REMOVED):
        raise errors.ToolInWrongState(tool=locked.name, state=locked.state)
    return _set(locked, state, action, by=by, reason=reason)


def _set(tool: Tool, state: Tool.State, action: Action, *, by: Principal, reason: str) -> Tool:
    was, tool.state = tool.state, state
    tool.version += 1
    tool.save(update_fields=["state", "version"])
    log.record(action, about=about(tool), by=by, reason=reason, detail={"from": was, "to": tool.state})
    changes.note(subjects.tool(tool.pk))
    return tool


def _locked(tool: Tool) -> Tool:
    locks.exclusive((Lock.TOOL, tool.pk))
    return _get(tool)


def _get(tool: Tool) -> Tool:
    try:
        return Tool.objects.select_related("system", "approved", "seen").get(pk=tool.pk)
    except Tool.DoesNotExist as error:
        raise NotFound from error
