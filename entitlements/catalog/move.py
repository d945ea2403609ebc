"""When a system moves to another address: what was approved there has to be seen here, and approved again."""

from __future__ import annotations

from django.db import transaction

from audit import log
from audit.actions import Action
from audit.context import Principal
from audit.export import timeline
from entitlements.catalog.models import System, Tool
from entitlements.errors import NotFound
from entitlements.feed import locks
from entitlements.feed.locks import Lock

from . import errors, tools


def quarantine_all(system: System, *, by: Principal, reason: str) -> None:
    """Stop every approved tool of a system whose address changes, and forget what was seen of any at the old one.

    Called within the action that changes it, with the system's lock held; that action tells the gateways of it.
    """
    locks.exclusive(*((Lock.TOOL, pk) for pk in system.tools.values_list("pk", flat=True)))
    approved = list(system.tools.filter(state=Tool.State.APPROVED).order_by("name"))
    for tool in system.tools.all():
        tool.seen = None
        tool.state = Tool.State.QUARANTINED if tool.state == Tool.State.APPROVED else Tool.State(tool.state)
        tool.version += 1
        tool.save(update_fields=["seen", "state", "version"])
    System.objects.filter(pk=system.pk).update(discovered_at=None)
    detail = {"from": Tool.State.APPROVED.value, "to": Tool.State.QUARANTINED.value, "moved": True}
    links = [[f"tool:{system.slug}/{tool.name}", f"system:{system.slug}"] for tool in approved]
    rows = [log.Row(about=about, reason=reason, detail=detail) for about in links]
    log.record_many(Action.TOOL_QUARANTINED, rows, by=by)


def unchanged(system: System) -> list[Tool]:
    """List the tools that only the move stopped, and that the new address offers with the very definition approved."""
    waiting = system.tools.filter(state=Tool.State.QUARANTINED).select_related("system", "approved", "seen")
    same = [tool for tool in waiting if tool.approved_id is not None and tool.approved_id == tool.seen_id]
    moved: dict[str, bool] = {}
    for event in timeline.of("system", system.slug).filter(action=Action.TOOL_QUARANTINED):
        moved |= {link: bool(event.detail.get("moved")) for link in event.about if link.startswith("tool:")}
    return [tool for tool in same if moved.get(tools.about(tool)[0])]


@transaction.atomic
def approve_unchanged(system: System, *, by: Principal, reason: str) -> list[Tool]:
    """Approve in one act what a new address offers exactly as it was approved at the old one; returns the tools.

    What it offers otherwise, what a person had quarantined, or what has an undecided flow label is approved one by one.
    Raises FlowsUndecided where only such a label keeps all of them out, NotFound without any.
    """
    locks.exclusive((Lock.SYSTEM, system.pk), *((Lock.TOOL, pk) for pk in system.tools.values_list("pk", flat=True)))
    same = unchanged(system)
    approvals = [
        tools.Approval(tool, tool.seen.sha256, tool.sentence, tool.action, tool.risk, tool.data_class)
        for tool in same
        if tool.seen is not None and not tools.undecided(tool, {})
    ]
    if same and not approvals:
        raise errors.FlowsUndecided(tools=[tool.name for tool in same])
    if not approvals:
        raise NotFound
    return tools.approve_tools(approvals, by=by, reason=reason)
