"""Whom a request waits for: the routes of its stages, and their rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from http import HTTPStatus

from entitlements.errors import DomainError
from entitlements.people.models import Group, Person
from governance.approvals.models import Approval
from governance.conflicts_of_interest import routing
from governance.conflicts_of_interest.routing import People, Route
from governance.requests import facts
from governance.requests.models import AccessRequest


class NoApprover(DomainError):
    """No person may approve this request: all candidates requested it, benefit from it, or have left."""

    code, status = "no_approver", HTTPStatus.UNPROCESSABLE_ENTITY


def routes(stages: Sequence[str], people: People) -> tuple[Route, ...]:
    """Find the people of each stage. Raises NoApprover, whose detail says which stage, who was passed over and why."""
    found = routing.approvers(stages, people)
    if missing := routing.unassigned(found):
        raise NoApprover(
            stage=missing.stage, skipped=[{"who": skip.who, "why": skip.why.value} for skip in missing.skipped]
        )
    return found


def routes_of_new(
    request: AccessRequest, stages: Sequence[str], acted_for: Sequence[Person], groups: Sequence[Group]
) -> tuple[Route, ...]:
    """Find the people of each stage of a request that is not stored yet, on the terms of `routes`."""
    behind, system = facts.requesters(request), request.entitlement.system
    around = facts.people(request.agent, system, requesters=behind, acted_for=acted_for, groups=groups, stages=stages)
    return routes(stages, replace(around, appealed=facts.answered(request.appeals)))


def wait_for(request: AccessRequest, routes: Sequence[Route], *, at: datetime) -> None:
    """Let a request wait for these people, after what it has waited for before."""
    first = request.approvals.count() + 1
    for position, route in enumerate(routes, start=first):
        resolution = route.as_evidence(at, chosen=sorted(route.asked))
        approval = Approval.objects.create(request=request, position=position, stage=route.stage, resolution=resolution)
        approval.waiting_for.set(Person.objects.filter(login__in=route.asked))
