"""Entitlements in reviews: a reduction drops tools from the entitlement and from every open grant of it.

A grant that holds nothing else ends at once. A removal disables the entitlement, and with it every grant of it. The
deadline does neither: that would stop every agent that holds one.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, Final
from uuid import UUID

from entitlements.catalog import entitlements
from entitlements.catalog.models import Entitlement, Tool
from entitlements.feed import locks
from entitlements.feed.locks import Lock
from entitlements.grants import grants
from entitlements.grants.models import Grant, GrantLine
from governance.reviews.items.models import ReviewItem

from .kind import Cut, Kind

_BUNDLE: Final = "entitlement"


def _existing(keys: Collection[str]) -> set[str]:
    return set(Entitlement.objects.filter(scope__in=keys, enabled=True).values_list("scope", flat=True))


def _entitlement(item: ReviewItem) -> Entitlement:
    return Entitlement.objects.select_related("system").get(scope=item.subject_key)


def _cut(item: ReviewItem, cut: Cut) -> dict[str, Any]:
    bundle = _entitlement(item)
    locks.exclusive((Lock.SYSTEM, bundle.system_id))  # before any grant, in the order that all actions use
    if cut.kept is None:
        entitlements.edit_entitlement(bundle, enabled=False, by=cut.by)
        return {_BUNDLE: {"enabled": bundle.enabled}}
    reviewed = set(item.lines.values_list("tool", flat=True))
    lines = {line.tool: line.limits for line in bundle.lines.select_related("tool__system")}
    kept = {tool: caps for tool, caps in lines.items() if tool.pk in cut.kept or tool.pk not in reviewed}
    if len(kept) == len(lines):
        return {}
    before: dict[str, Any] = {
        _BUNDLE: {"lines": {str(tool.pk): caps for tool, caps in lines.items()}, "rule": bundle.rule}
    }
    dropped = [tool for tool in lines if tool not in kept]
    held = Grant.objects.filter(entitlement=bundle, ended_at=None, lines__tool__in=dropped).distinct()
    for grant in held.prefetch_related("lines__tool").order_by("pk"):
        kept_lines = {line.tool.name: line.limits for line in grant.lines.all() if line.tool not in dropped}
        if kept_lines:
            before[str(grant.pk)] = grants.reduce(grant.pk, kept_lines, by=cut.by, reason=cut.reason)
        else:
            grants.revoke(grant.pk, by=cut.by, reason=cut.reason)
    if kept:
        entitlements.edit_entitlement(bundle, rule=None, tools=kept, by=cut.by)
    else:
        entitlements.edit_entitlement(bundle, enabled=False, by=cut.by)
    return before


def _undo(item: ReviewItem, before: dict[str, Any], cut: Cut) -> bool:
    bundle, was = _entitlement(item), before.get(_BUNDLE, {})
    locks.exclusive((Lock.SYSTEM, bundle.system_id))
    if "lines" in was:
        tools = {tool: was["lines"][str(tool.pk)] for tool in Tool.objects.filter(pk__in=map(int, was["lines"]))}
        bundle = entitlements.edit_entitlement(bundle, tools=tools, enabled=True, by=cut.by)
        if was["rule"] is not None:
            entitlements.edit_entitlement(bundle, rule=was["rule"], by=cut.by)
    elif was.get("enabled"):
        entitlements.edit_entitlement(bundle, enabled=True, by=cut.by)
    open_ = set(Grant.objects.filter(entitlement=bundle, ended_at=None).values_list("pk", flat=True))
    for name, held in before.items():
        if name != _BUNDLE and UUID(name) in open_:
            grants.undo_reduction(UUID(name), held, by=cut.by, reason=cut.reason)
    return True


def _probe(item: ReviewItem, cut: Cut) -> list[dict[str, Any]]:
    """Check that each dropped tool is neither requestable nor held by any active grant."""
    bundle = _entitlement(item)
    offered = set(bundle.lines.values_list("tool", flat=True)) if bundle.enabled else set()
    held = GrantLine.objects.filter(grant__entitlement=bundle, grant__ended_at=None, grant__state=Grant.State.ACTIVE)
    holders = set(held.values_list("tool", flat=True)) if bundle.enabled else set()
    answers = []
    for line in item.lines.select_related("tool").order_by("tool__name"):
        kept = cut.kept is not None and line.tool_id in cut.kept
        is_offered = line.tool_id in offered or line.tool_id in holders
        answers.append(
            {
                "ask": "offer",
                "tool": line.tool.name,
                "allowed": is_offered,
                "kept": kept,
                "holds": kept or not is_offered,
            }
        )
    return answers or [{"ask": "offer", "allowed": bundle.enabled, "holds": not bundle.enabled}]


KIND = Kind(_existing, _cut, _probe, _undo)
