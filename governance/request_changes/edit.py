"""Editing an open request: earlier approvals become void, and its approvers are found again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from http import HTTPStatus
from typing import Any
from uuid import UUID

from django.db import transaction

from audit import clock, log
from audit.actions import Action
from entitlements.catalog import class_proposals
from entitlements.catalog.models import Tool
from entitlements.errors import DomainError
from entitlements.grants.models import Grant
from entitlements.words import Risk
from governance.approval_policies import policies
from governance.approval_policies import rules as policy_rules
from governance.approvals.models import Approval
from governance.conflicts_of_interest.routing import Route
from governance.eligibility import eligibility, narrowing
from governance.eligibility.eligibility import Requester, RequestTerms
from governance.eligibility.narrowing import Lines, Narrowing
from governance.requests import candidates, facts, requests
from governance.requests.models import AccessRequest, RequestLine


class NothingChanged(DomainError):
    """The edit changes nothing. Change a tool, a limit, the time or the reason."""

    code, status = "nothing_changed", HTTPStatus.UNPROCESSABLE_ENTITY


@dataclass(frozen=True, slots=True)
class Change:
    """What a request shall be; what is left out stays. `limits` says by tool all that limits it beyond its bundle."""

    tools: frozenset[str] | None = None
    limits: Lines | None = None
    lasts: timedelta | None = None
    reason: str | None = None


@transaction.atomic
def edit(request_id: UUID, change: Change, *, by: Requester, expected_version: int | None = None) -> AccessRequest:
    """Edit one's open request, to more or to less. All stages are answered again, under the current policy.

    Raises NotFound, requests.NotTheRequester, Stale, Decided, Overdue, NothingChanged, what the checks in
    `eligibility` raise, narrowing.Wider when a renewal would exceed the grant, candidates.NoApprover and NotRecordable.
    """
    narrowing.check_size(change.limits or {}, change.reason or "")
    request = requests.locked(request_id)
    if not requests.is_requester(request, by):
        raise requests.NotTheRequester
    requests.check_open(request, expected_version)
    ask, before = _wanted(request, change), _as_recorded(request)
    eligibility.check_requester(request.agent, ask, by=by, on_behalf_of=request.requested_by)
    eligibility.check_in_force(request.agent, request.entitlement, ask.people)
    lines = eligibility.lines(request.entitlement, ask)
    class_proposals.highest_since(lines, request.asked_at)
    eligibility.check_two_people(request.agent, (tool.risk for tool in lines))
    _check_renewal(request, lines)
    _write(request, ask, lines)
    if (after := _as_recorded(request)) == before:
        raise NothingChanged
    voided = _void(request)
    request.policy, now = policies.current_for(request.entitlement), clock.now()
    routes = _routes(request)
    requests.save(
        request,
        reason=ask.reason,
        asked_lasts=ask.lasts,
        policy=request.policy,
        answer_by=now + request.policy.answer_within,
    )
    candidates.wait_for(request, routes, at=now)
    detail = {
        "before": before,
        "after": after,
        "voided": voided,
        "approvals": [{"stage": route.stage, "waiting_for": sorted(route.asked)} for route in routes],
    }
    with requests.trace_of(request):
        log.record(
            Action.REQUEST_EDITED, about=requests.about(request), by=by.principal, reason=ask.reason, detail=detail
        )
    return request


def _wanted(request: AccessRequest, change: Change) -> RequestTerms:
    """Return the new request: the change's values, else the request's current ones."""
    kept = {line.tool.name: line.limits for line in request.lines.filter(kept=True).select_related("tool")}
    tools = frozenset(kept) if change.tools is None else change.tools
    limits: dict[str, Mapping[str, Any]] = {
        name: current for name, current in kept.items() if name in tools and current
    }
    if change.limits is not None:
        limits = {**limits, **change.limits}
    return RequestTerms(
        lasts=change.lasts or request.lasts,
        reason=request.reason if change.reason is None else change.reason,
        people=tuple(request.people.all()),
        groups=tuple(request.groups.all()),
        tools=tools,
        limits=limits,
        renews=request.renews,
    )


def _as_recorded(request: AccessRequest) -> dict[str, Any]:
    lines = request.lines.filter(kept=True).select_related("tool").order_by("tool__name")
    return {
        "lines": {line.tool.name: line.limits for line in lines},
        "lasts_seconds": int(request.lasts.total_seconds()),
        "reason": request.reason,
    }


def _check_renewal(request: AccessRequest, lines: Mapping[Tool, Mapping[str, Any]]) -> None:
    """Keep what renews a grant within it. Raises narrowing.Wider."""
    held = Grant.objects.filter(pk=request.renews_id).first() if request.renews_id and not request.appeals_id else None
    if held is not None:
        current = {line.tool.name: line.limits for line in held.lines.select_related("tool")}
        asked = {tool.name: limits for tool, limits in lines.items()}
        narrowing.lines(current, Narrowing(frozenset(asked), asked))


def _write(request: AccessRequest, ask: RequestTerms, lines: Mapping[Tool, Mapping[str, Any]]) -> None:
    """Write down what is asked for now as what was asked."""
    request.lines.exclude(tool__in=[tool.pk for tool in lines]).delete()
    for tool, limits in lines.items():
        values = {"asked_limits": dict(limits), "limits": dict(limits), "kept": True}
        RequestLine.objects.update_or_create(request=request, tool=tool, defaults=values)
    request.lasts, request.asked_lasts, request.reason = ask.lasts, ask.lasts, ask.reason
    request.risk = policy_rules.highest(Risk(tool.risk) for tool in lines)


def _void(request: AccessRequest) -> list[str]:
    """Void every answer, and return who had approved. They may answer again; the row keeps that they had."""
    approved = []
    for stage in request.approvals.exclude(answer=Approval.Answer.VOID).select_related("by", "in_place_of"):
        if stage.by is not None:
            approved.append(stage.by.login)
            stage.resolution |= {"approved_before_an_edit_by": stage.by.login}
        stage.answer, stage.by, stage.in_place_of = Approval.Answer.VOID, None, None
        stage.save(update_fields=["answer", "by", "in_place_of", "resolution"])
    return approved


def _routes(request: AccessRequest) -> tuple[Route, ...]:
    stages = requests.stages_needed(request)
    members = facts.members(stages)
    people = facts.people_of(request)
    active = people.active | {each.login for those in members.values() for each in those if each.is_active}
    groups = {stage: frozenset(each.login for each in those) for stage, those in members.items()}
    return candidates.routes(stages, replace(people, groups=groups, active=active))
