"""The verb that passes an answer on to another person who may give it."""

from __future__ import annotations

from http import HTTPStatus
from uuid import UUID

from django.db import transaction

from audit import clock, log
from audit.actions import Action
from entitlements.errors import DomainError, ReasonRequired
from entitlements.people.models import Person
from governance.approvals.models import Approval
from governance.conflicts_of_interest import routing, rules
from governance.eligibility import narrowing
from governance.requests import facts, requests
from governance.requests.models import AccessRequest

from . import approvals, events


class NotEligible(DomainError):
    """That person may not answer this part of the request, or is needed for another part of it."""

    code, status = "not_eligible", HTTPStatus.UNPROCESSABLE_ENTITY


@transaction.atomic
def reassign(
    request_id: UUID, *, by: Person, to: Person, reason: str, expected_version: int | None = None
) -> AccessRequest:
    """Pass the answer that a request waits for from `by` on to another of those who may give it.

    Raises ReasonRequired, narrowing.ReasonTooLong, NotEligible, and what `approvals.approve` raises about person and
    state. The person who passes on is asked no more for this part.
    """
    narrowing.check_size({}, reason)
    request = requests.locked(request_id, also=by)
    read, answer = approvals.judged(request, by, expected_version)
    stage = read.stages[answer.stage.key]
    if not reason.strip():
        raise ReasonRequired
    if to.login not in eligible(request, stage):
        raise NotEligible
    stage.waiting_for.remove(read.people[answer.people[-1]])
    stage.waiting_for.add(to)
    passed = {"from": by.login, "to": to.login, "reason": reason, "at": clock.now().isoformat()}
    stage.resolution = {**stage.resolution, "passed_on": [*stage.resolution.get("passed_on", []), passed]}
    stage.save(update_fields=["resolution"])
    requests.save(request)
    with requests.trace_of(request):
        log.record(
            Action.APPROVAL_REASSIGNED,
            about=[*requests.about(request), f"person:{to.login}"],
            by=by.principal,
            reason=reason,
            detail={"stage": stage.stage, **events.place(answer), "to": to.login},
        )
    return request


def eligible(request: AccessRequest, stage: Approval) -> frozenset[str]:
    """Say to whom a waiting stage can be passed on: in its chain, without a conflict, not needed elsewhere."""
    people = facts.people_of(request)
    waiting = request.approvals.filter(answer=Approval.Answer.WAITING).prefetch_related("waiting_for")
    pools = {row.pk: frozenset(each.login for each in row.waiting_for.all()) for row in waiting}
    answered = {
        login
        for row in request.approvals.exclude(answer=Approval.Answer.WAITING)
        for login in (row.by.login if row.by else None, row.in_place_of.login if row.in_place_of else None)
    }
    could = {who for who in routing.in_line(stage.stage, people) if rules.skip_reason(who, people) is None}
    return frozenset(
        who
        for who in could - pools[stage.pk] - answered
        if routing.completable({**pools, stage.pk: frozenset({who})}) is not None
    )
